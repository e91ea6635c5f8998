FROM python:3.11-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /src
ENV UV_PROJECT_ENVIRONMENT=/opt/monitor UV_LINK_MODE=copy
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --extra history --no-install-project
COPY monitor monitor
COPY rules rules
RUN uv sync --locked --no-dev --extra history --no-editable

FROM python:3.11-slim
COPY --from=build /opt/monitor /opt/monitor
ENV PATH=/opt/monitor/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --no-create-home monitor && install -d -o 10001 -m 0700 /var/lib/lookup-monitor
# A volume that is new takes over whose folder it lies on.
RUN mkdir /archive && chown 10001 /archive
USER 10001
EXPOSE 9464 8480
ENTRYPOINT ["monitor"]
