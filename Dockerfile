# The environment is made in one image, with uv in it, and carried into another, which has none of the tools.
FROM python:3.11.13-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
ENV UV_PROJECT_ENVIRONMENT=/opt/monitor UV_LINK_MODE=copy
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --extra history --no-install-project
COPY monitor monitor
COPY rules rules
RUN uv sync --locked --no-dev --extra history --no-editable

FROM python:3.11.13-slim-bookworm
# Nothing is installed in a container that runs.
RUN pip uninstall --yes pip setuptools wheel
COPY --from=build /opt/monitor /opt/monitor
ENV PATH=/opt/monitor/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN groupadd --gid 10001 monitor && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin monitor \
    && install -d -o 10001 -m 0700 /var/lib/lookup-monitor
# A volume that is new takes over whose folder it lies on.
RUN install -d -o 10001 -m 0700 /archive
USER 10001:10001
EXPOSE 9464 8480
# What is healthy is another question for each command (/healthz of a worker, /readyz of the others, none of what ends by itself), and Kubernetes
# takes no notice of it: docker-compose.yml asks each in its own way.
HEALTHCHECK NONE
ENTRYPOINT ["monitor"]
