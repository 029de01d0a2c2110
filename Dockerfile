# esinfer mock on port 9200; also a substitute image for Testcontainers' Elasticsearch modules.
#
#   docker build -t esinfer .
#   docker run --rm -p 9200:9200 esinfer             the server for tests
#   docker run --rm -p 9200:9200 -v esinfer:/var/lib/esinfer esinfer serve
#   docker run --rm -p 8080:8080 esinfer twin

FROM python:3.13-slim AS build
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY esinfer esinfer
RUN python -m venv /opt/esinfer \
 && /opt/esinfer/bin/pip install --no-cache-dir --disable-pip-version-check \
    '.[encryption,postgresql]' \
 && /opt/esinfer/bin/pip uninstall --yes pip

FROM python:3.13-slim
LABEL org.opencontainers.image.title="esinfer" \
      org.opencontainers.image.description="Elasticsearch's inference API as a standalone server" \
      org.opencontainers.image.licenses="Apache-2.0"
# Testcontainers puts JVM options where Elasticsearch would look for them.
RUN useradd --uid 1000 --gid 0 --home-dir /var/lib/esinfer --no-create-home esinfer \
 && install --directory --owner=1000 --mode=0700 /var/lib/esinfer \
 && install --directory --owner=1000 /usr/share/elasticsearch/config/jvm.options.d
COPY --from=build /opt/esinfer /opt/esinfer
ENV PATH=/opt/esinfer/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    ESINFER_SERVER__HOST=0.0.0.0 \
    ESINFER_STORE__PATH=/var/lib/esinfer/endpoints.db \
    ESINFER_LOGGING__FORMAT=json
USER 1000:0
WORKDIR /var/lib/esinfer
EXPOSE 9200
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --start-interval=1s \
    CMD ["python", "-m", "esinfer.container_health"]
ENTRYPOINT ["esinfer"]
CMD ["mock"]
