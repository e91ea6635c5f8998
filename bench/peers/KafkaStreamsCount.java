// The counting job on Kafka Streams: parse, count per actor in a tumbling window of event time, alert at the threshold.
//
// One stream thread, state in RocksDB with a changelog topic, at-least-once, all else as by default. Two ways:
//   cached  a processor over a window store with a cache: it sees every count, and the changelog gets the newest of each flush
//   dsl     windowedBy().count(), whose cache must be off, or the count that reaches the threshold is not seen
// Started by bench/peers/streams_count.py, which compiles it first.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

public final class KafkaStreamsCount {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static final String STORE = "counts";

    private final String bootstrap, topic, workdir, run, mode;
    private final long expect, threshold, windowMs;
    private final CountDownLatch done = new CountDownLatch(1);
    private long seen, firstNs, lastNs, firstCpu, lastCpu;

    private KafkaStreamsCount(Map<String, String> given) {
        bootstrap = given.get("--bootstrap");
        topic = given.get("--topic");
        workdir = given.get("--workdir");
        run = workdir.substring(workdir.lastIndexOf('/') + 1);
        mode = given.get("--mode");
        expect = Long.parseLong(given.get("--expect"));
        threshold = Long.parseLong(given.get("--threshold"));
        windowMs = Long.parseLong(given.get("--window-ms"));
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> given = new HashMap<>();
        for (int at = 0; at < arguments.length; at += 2) given.put(arguments[at], arguments[at + 1]);
        new KafkaStreamsCount(given).go();
    }

    private void go() throws Exception {
        Properties asks = new Properties();
        asks.put("bootstrap.servers", bootstrap);
        try (Admin admin = Admin.create(asks)) {
            int partitions = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
            admin.createTopics(List.of(new NewTopic(alerts(), partitions, (short) 1))).all().get();
            try (KafkaStreams streams = new KafkaStreams(mode.equals("dsl") ? dsl() : cached(), settings())) {
                streams.setUncaughtExceptionHandler(error -> { error.printStackTrace(); Runtime.getRuntime().halt(4); return null; });
                streams.start();
                done.await();
                streams.close(Duration.ofSeconds(60)); // what is cached is written, alerts are acknowledged
            }
            Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
            for (int part = 0; part < partitions; part++) ends.put(new TopicPartition(alerts(), part), OffsetSpec.latest());
            long arrived = 0;
            for (var end : admin.listOffsets(ends).all().get(60, TimeUnit.SECONDS).values()) arrived += end.offset();
            System.out.printf(java.util.Locale.ROOT, "{\"lookups\": %d, \"seconds\": %.6f, \"alerts\": %d, \"cpu\": %.6f}%n",
                seen, (lastNs - firstNs) / 1e9, arrived, (lastCpu - firstCpu) / 1e9);
        }
    }

    private String alerts() { return run + ".alerts"; }

    private Properties settings() {
        Properties made = new Properties();
        made.put(StreamsConfig.APPLICATION_ID_CONFIG, run);
        made.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        made.put(StreamsConfig.STATE_DIR_CONFIG, workdir + "/state");
        made.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        made.put("auto.offset.reset", "earliest");
        return made;
    }

    private KStream<String, JsonNode> source(StreamsBuilder builder) {
        TimestampExtractor time = (record, before) ->
            OffsetDateTime.parse(((JsonNode) record.value()).get("time").textValue()).toInstant().toEpochMilli();
        return builder.stream(topic, Consumed.with(Serdes.String(), json()).withTimestampExtractor(time));
    }

    private Topology dsl() {
        StreamsBuilder builder = new StreamsBuilder();
        // The key is the actor already: grouping by the actor would write every lookup once more.
        source(builder)
            .peek((key, lookup) -> began())
            .groupByKey(Grouped.with(Serdes.String(), json()))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMillis(windowMs), Duration.ofHours(24)))
            .count(Materialized.<String, Long, WindowStore<org.apache.kafka.common.utils.Bytes, byte[]>>as(STORE).withCachingDisabled())
            .toStream()
            .peek((window, count) -> saw())
            .filter((window, count) -> count == threshold)
            .map((window, count) -> new org.apache.kafka.streams.KeyValue<>(window.key(), alert(window.key(), window.window().start(), count)))
            .to(alerts(), Produced.with(Serdes.String(), Serdes.ByteArray()));
        return builder.build();
    }

    private Topology cached() {
        StreamsBuilder builder = new StreamsBuilder();
        Duration kept = Duration.ofHours(24);
        builder.addStateStore(Stores.windowStoreBuilder(
                Stores.persistentWindowStore(STORE, kept, Duration.ofMillis(windowMs), false), Serdes.String(), Serdes.Long())
            .withCachingEnabled());
        source(builder)
            .process(Counting::new, STORE)
            .to(alerts(), Produced.with(Serdes.String(), Serdes.ByteArray()));
        return builder.build();
    }

    private final class Counting implements Processor<String, JsonNode, String, byte[]> {
        private ProcessorContext<String, byte[]> context;
        private WindowStore<String, Long> store;

        @Override public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            this.store = context.getStateStore(STORE);
        }

        @Override public void process(Record<String, JsonNode> record) {
            began();
            String actor = actorOf(record.value());
            long window = record.timestamp() / windowMs * windowMs;
            Long before = store.fetch(actor, window);
            long count = before == null ? 1 : before + 1;
            store.put(actor, count, window);
            if (count == threshold) context.forward(record.withKey(actor).withValue(alert(actor, window, count)));
            saw();
        }
    }

    private static String actorOf(JsonNode lookup) { return lookup.get("actor").get("id").textValue(); }

    private static byte[] alert(String actor, long window, long count) {
        return ("{\"actor\":\"" + actor + "\",\"window\":" + window + ",\"count\":" + count + "}").getBytes(StandardCharsets.UTF_8);
    }

    private static Serde<JsonNode> json() {
        return Serdes.serdeFrom(
            (topic, value) -> { try { return JSON.writeValueAsBytes(value); } catch (Exception e) { throw new IllegalStateException(e); } },
            (topic, bytes) -> { try { return JSON.readTree(bytes); } catch (Exception e) { throw new IllegalStateException(e); } });
    }

    private void began() {
        if (firstNs == 0) {
            firstCpu = SYSTEM.getProcessCpuTime();
            firstNs = System.nanoTime();
        }
    }

    private void saw() {
        if (++seen == expect) {
            lastNs = System.nanoTime();
            lastCpu = SYSTEM.getProcessCpuTime();
            done.countDown();
        }
    }
}
