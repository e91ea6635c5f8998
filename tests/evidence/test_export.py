"""An export holds all that shows why the alerts were raised; whatever is changed in it is seen, without Kafka."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from monitor.cli import app
from monitor.evidence import Damaged, Unusable
from monitor.evidence import export as exports
from monitor.evidence.check import check
from monitor.evidence.export import export
from monitor.evidence.lines import Bytes, Line, read_lines, write_lines
from monitor.evidence.manifest import MANIFEST, SEAL, load
from monitor.evidence.opened import Opened
from monitor.evidence.survey import KafkaSpan, survey
from monitor.stream import topics
from tests.evidence.fake import DAY, NEW, OLD, PARTITIONS, FakeLog, installation, rules_of

KEY = b"k" * 32


def span_of(log: FakeLog) -> tuple[int, int]:
    """The second day."""
    begin = log.held[topics.EVENTS][0][0].timestamp // DAY * DAY + DAY
    return begin, begin + DAY


@pytest.fixture(scope="module")
def log() -> FakeLog:
    return installation()


@pytest.fixture(scope="module")
def span(log: FakeLog) -> KafkaSpan:
    return survey(log, *span_of(log), 0)


@pytest.fixture(scope="module")
def made(span: KafkaSpan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "made"
    export(span, folder, KEY)
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def monitor(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_span_agrees_in_kafka_and_in_its_export(span: KafkaSpan, made: Path) -> None:
    first, second = check(span), check(Opened(made))
    assert first == second
    assert first.agreement.differences == []
    assert first.agreement.equal > 20
    assert first.refused > 10


def test_it_is_verified_without_kafka(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKUP_MONITOR_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("LOOKUP_MONITOR_PARTITIONS", "7")
    done = monitor("verify", made)
    assert done.exit_code == 0, done.output
    assert hashlib.sha256((made / MANIFEST).read_bytes()).hexdigest() in done.output
    assert " 0 differ" in done.output
    assert monitor("replay", "--export", made).exit_code == 0


def test_everything_is_in_it_byte_for_byte(log: FakeLog, made: Path) -> None:
    for topic, name in ((topics.EVENTS, "events.jsonl"), (topics.REFERENCE, "reference.jsonl")):
        lines = list(read_lines(made / name))
        there = {(each.partition, each.offset): each for part in log.held[topic] for each in part}
        assert len(lines) == len(there)
        for line in lines:
            record = there[line.partition, line.offset]
            assert (line.timestamp, line.key.raw(), line.value.raw()) == (record.timestamp, record.key, record.value)
            assert [(key, value.raw()) for key, value in line.headers] == list(record.headers)
    begin, end = span_of(log)
    ids = {orjson.loads(line.value.raw() or b"")["id"] for line in read_lines(made / "alerts.jsonl")}
    found = [orjson.loads(each.value or b"") for part in log.held[topics.ALERTS] for each in part]
    assert ids == {each["id"] for each in found if begin <= each["ts"] < end} != set()
    for line in read_lines(made / "alerts.jsonl"):
        record = log.held[topics.ALERTS][line.partition][line.offset]
        assert [(key, value.raw()) for key, value in line.headers] == list(record.headers) != []


def test_the_manifest_says_which_rules_counted_from_where(log: FakeLog, made: Path) -> None:
    manifest = load(made)[0]
    old, new = rules_of(OLD).version, rules_of(NEW).version
    assert [(each.version, each.partition) for each in manifest.rules if each.offset == 0] == [(old, 0), (old, 1)]
    assert {(each.version, each.partition) for each in manifest.rules if each.offset > 0} == {(new, 0), (new, 1)}
    for each in manifest.rules:
        assert log.held[topics.EVENTS][each.partition][each.offset].headers or each.offset == 0
    assert (made / "rules" / new / "deep" / "search.yml").read_text() == NEW["deep/search.yml"]
    assert {each.topic: each.records for each in manifest.topics if each.partition == 0}.keys() == {
        topics.EVENTS, topics.REFERENCE, topics.ALERTS
    }  # fmt: skip
    assert manifest.from_.endswith("T00:00:00.000Z")


def test_the_whole_is_what_sha256sum_says(made: Path) -> None:
    names = sorted(load(made)[0].files)
    sums = subprocess.run(["sha256sum", *names], cwd=made, capture_output=True, check=True).stdout
    assert load(made)[0].whole == hashlib.sha256(sums).hexdigest()


def files() -> list[str]:
    old, new = rules_of(OLD).version, rules_of(NEW).version
    rules = [f"rules/{old}/{name}" for name in OLD] + [f"rules/{new}/{name}" for name in NEW]
    return ["events.jsonl", "reference.jsonl", "alerts.jsonl", *rules]


@pytest.mark.parametrize("name", files())
@pytest.mark.parametrize("at", [0.0, 0.5, 0.999])
def test_a_changed_byte_is_seen_in_every_file(copy: Path, name: str, at: float) -> None:
    path = copy / name
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * at)] ^= 1
    path.write_bytes(bytes(raw))
    done = monitor("verify", copy)
    assert done.exit_code == 1, done.output
    assert name in done.output


def test_every_file_is_in_the_list(made: Path) -> None:
    assert sorted(load(made)[0].files) == sorted(files())
    assert {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()} == {
        *files(),
        MANIFEST,
        SEAL,
    }


def without_a_line(folder: Path) -> None:
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join(lines[:5] + lines[6:]))


def with_a_file(folder: Path) -> None:
    (folder / "rules" / "more.yml").write_text("")


def without_a_file(folder: Path) -> None:
    (folder / "reference.jsonl").unlink()


def without_a_brace(folder: Path) -> None:
    (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes()[:-3])


def of_another_format(folder: Path) -> None:
    changed(folder, b'"format": 1', b'"format": 2')


def with_a_word_more(folder: Path) -> None:
    changed(folder, b'"format": 1', b'"format": 1, "approved": true')


def with_a_link(folder: Path) -> None:
    (folder / "events2.jsonl").symlink_to(folder / "events.jsonl")
    (folder / "rules2").symlink_to(folder / "rules")


def out_of_the_folder(folder: Path) -> None:
    changed(folder, b'"files": {', b'"files": {"../../etc/passwd": {"sha256": "", "bytes": 0, "lines": 0}, ')


def changed(folder: Path, old: bytes, new: bytes, name: str = MANIFEST) -> None:
    raw = (folder / name).read_bytes()
    assert old in raw
    (folder / name).write_bytes(raw.replace(old, new, 1))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (without_a_line, "events.jsonl: is not what was exported"),
        (with_a_file, "rules/more.yml: was not exported"),
        (with_a_link, "events2.jsonl: was not exported"),
        (without_a_file, "reference.jsonl: is missing"),
        (without_a_brace, MANIFEST),
        (of_another_format, "this program reads format 1"),
        (with_a_word_more, "approved"),
        (out_of_the_folder, "../../etc/passwd: is missing"),
    ],
)
def test_what_is_missing_or_added_is_seen(copy: Path, act: Callable[[Path], None], said: str) -> None:
    act(copy)
    done = monitor("verify", copy)
    assert done.exit_code == 1, done.output
    assert said in done.output


def rewritten(folder: Path, name: str, lines: list[bytes]) -> None:
    """Change a file, and the manifest so that it fits: the work of somebody who knows the format, but has no key."""
    from monitor.evidence import manifest as manifests
    from monitor.evidence.lines import mark_of

    (folder / name).write_bytes(b"".join(lines))
    manifest = load(folder)[0]
    manifest.files[name] = mark_of(folder / name)
    manifest.whole = manifests.whole_of(manifest.files)
    (folder / MANIFEST).write_bytes(manifests.encode(manifest))


def test_who_rewrites_the_manifest_too_is_found_by_the_count(copy: Path) -> None:
    lines = (copy / "alerts.jsonl").read_bytes().splitlines(keepends=True)
    rewritten(copy, "alerts.jsonl", lines[1:])
    done = monitor("verify", copy)
    assert done.exit_code == 1
    assert "records of partition" in done.output
    again = monitor("replay", "--export", copy)
    assert again.exit_code == 1
    assert again.output.startswith("only-replay")


def test_who_swaps_lines_is_found_by_the_offsets(copy: Path) -> None:
    lines = (copy / "reference.jsonl").read_bytes().splitlines(keepends=True)
    rewritten(copy, "reference.jsonl", [lines[1], lines[0], *lines[2:]])
    done = monitor("verify", copy)
    assert done.exit_code == 1
    assert "does not come after" in done.output


def test_who_changes_a_lookup_is_found_by_running_it_again(copy: Path) -> None:
    raw = (copy / "events.jsonl").read_bytes()
    assert raw.count(b'\\"print\\"') > 10
    rewritten(copy, "events.jsonl", [raw.replace(b'\\"print\\"', b'\\"reads\\"')])
    for command in (("verify", copy), ("replay", "--export", copy)):
        done = monitor(*command)
        assert done.exit_code == 1
        assert "only-live" in done.output


def test_who_changes_a_rule_is_found_by_its_version(copy: Path) -> None:
    name = f"rules/{rules_of(NEW).version}/print.yml"
    rewritten(copy, name, [(copy / name).read_bytes() + b"\n"])
    done = monitor("verify", copy)
    assert done.exit_code == 1
    assert "are the rules of version" in done.output


def test_who_changes_an_offset_is_found_by_the_manifest(copy: Path) -> None:
    lines = (copy / "alerts.jsonl").read_bytes().splitlines(keepends=True)
    last = orjson.loads(lines[-1])
    lines[-1] = orjson.dumps({**last, "offset": last["offset"] + 10**6}) + b"\n"
    rewritten(copy, "alerts.jsonl", lines)
    done = monitor("verify", copy)
    assert done.exit_code == 1
    assert "is not of the offsets" in done.output


def test_who_changes_the_hash_of_the_whole_is_found(copy: Path) -> None:
    whole = load(copy)[0].whole.encode()
    changed(copy, whole, whole[::-1])
    assert "`whole` is not" in monitor("verify", copy).output


def test_a_manifest_that_leaves_out_a_file_is_found(copy: Path) -> None:
    from monitor.evidence import manifest as manifests

    manifest = load(copy)[0]
    del manifest.files["alerts.jsonl"]
    manifest.whole = manifests.whole_of(manifest.files)
    (copy / MANIFEST).write_bytes(manifests.encode(manifest))
    (copy / "alerts.jsonl").unlink()
    done = monitor("verify", copy)
    assert done.exit_code == 1
    assert "does not name alerts.jsonl" in done.output


def test_who_has_no_key_is_found_by_the_seal(copy: Path, tmp_path: Path) -> None:
    key, other = tmp_path / "key", tmp_path / "other"
    key.write_bytes(KEY + b"\n")
    other.write_bytes(b"x" * 32)
    assert monitor("verify", copy, "--key", key).exit_code == 0
    assert "--key FILE checks the seal" in monitor("verify", copy).output
    assert monitor("verify", copy, "--key", other).exit_code == 1
    rewritten(copy, "events.jsonl", [(copy / "events.jsonl").read_bytes()])
    changed(copy, b"lookup-monitor 0", b"lookup-monitor  0")
    assert monitor("verify", copy, "--key", key).exit_code == 1
    (copy / SEAL).unlink()
    assert "not sealed" in monitor("verify", copy, "--key", key).output
    short = tmp_path / "short"
    short.write_text("secret")
    assert monitor("verify", copy, "--key", short).exit_code == 2


def test_a_signature_beside_the_manifest_is_no_file_of_the_export(copy: Path) -> None:
    (copy / f"{MANIFEST}.sig").write_text("-----BEGIN SSH SIGNATURE-----")
    assert monitor("verify", copy).exit_code == 0


def test_a_span_within_the_export_can_be_run(made: Path) -> None:
    begin = load(made)[0].from_
    noon = begin.replace("T00", "T12")
    done = monitor("replay", "--export", made, "--from", noon)
    assert done.exit_code == 0
    assert done.output != monitor("replay", "--export", made).output
    outside = monitor("replay", "--export", made, "--from", "2020-01-01T00:00:00Z")
    assert outside.exit_code == 2
    assert "ask within that" in outside.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "nowhere"), "is no export"),
        (("export", "out"), "--from T --to T"),
        (("export", "out", "--from", "monday", "--to", "now"), "24h"),
        (("export", "out", "--from", "24h", "--to", "48h"), "is not before"),
        (("replay", "--to", "2099-01-01T00:00:00Z"), "in the future"),
        (("replay", "--export", "nowhere"), "is no export"),
        (("replay", "--every", "24h", "--to", "now"), "--every goes with --from alone"),
        (("replay", "--every", "daily"), "is not a duration"),
    ],
)
def test_wrong_use_is_said(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = monitor(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_evidence_is_not_written_over(span: KafkaSpan, made: Path, tmp_path: Path) -> None:
    before = (made / MANIFEST).read_bytes()
    with pytest.raises(Unusable, match="is there already"):
        export(span, made, None)
    assert (made / MANIFEST).read_bytes() == before
    (tmp_path / "new.part").mkdir()
    with pytest.raises(Unusable, match="another export"):
        export(span, tmp_path / "new", None)
    assert (tmp_path / "new.part").exists()


def test_an_export_that_fails_leaves_nothing(span: KafkaSpan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        export(span, tmp_path / "new", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["../out.yml", "/etc/out.yml", "a/../../out.yml", "c:out.yml", "..\\out.yml"])
def test_rules_do_not_leave_their_folder(span: KafkaSpan, tmp_path: Path, path: str) -> None:
    version = span.facts.starts[0]
    bad = KafkaSpan(span._log, span.facts, {**span.packs, version: {path: "x"}}, span.ranges)
    with pytest.raises(Unusable, match="outside"):
        export(bad, tmp_path / "new", None)


@pytest.mark.parametrize("raw", [None, b"", b"\xff\x00", "é\u2028\x00\n".encode(), b"\xed\xa0\x80"])
def test_bytes_come_back_as_they_were(raw: bytes | None, tmp_path: Path) -> None:
    line = Line(0, 1, 2, Bytes.of(raw), Bytes.of(raw), [("h", Bytes.of(raw))])
    write_lines(tmp_path / "x", [line])
    (found,) = read_lines(tmp_path / "x")
    assert (found.key.raw(), found.value.raw(), found.headers[0][1].raw()) == (raw, raw, raw)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"partition":0,"offset":1,"timestamp":2,"value":{"base64":"!"}}\n')
    with pytest.raises(Damaged, match="x:1: "):
        list(read_lines(tmp_path / "x"))


def test_a_partition_there_is_not_is_said(copy: Path) -> None:
    lines = (copy / "events.jsonl").read_bytes().splitlines(keepends=True)
    rewritten(
        copy,
        "events.jsonl",
        [lines[0].replace(b'"partition":0', b'"partition":9').replace(b'"partition":1', b'"partition":9'), *lines[1:]],
    )
    done = monitor("replay", "--export", copy)
    assert done.exit_code == 1
    assert "partition 9" in done.output
    assert len(load(copy)[0].facts.starts) == PARTITIONS
