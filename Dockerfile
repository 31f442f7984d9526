# The collector, and an example program to trace. Used by docker-compose.yml.

FROM python:3.13-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[postgres]'
RUN gcc -O1 -g -finstrument-functions -pthread -o /multithreaded examples/multithreaded.c

FROM python:3.13-slim
RUN --mount=from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels 'calltrace-collector[postgres]'
COPY --from=build /multithreaded /usr/local/bin/
# The socket and the database must belong to the user, and to nobody else.
RUN useradd --create-home --uid 1000 calltrace && install -d -m 700 -o calltrace /run/calltrace /data
USER calltrace
ENV XDG_RUNTIME_DIR=/run XDG_DATA_HOME=/data
ENTRYPOINT ["calltrace-collector"]
CMD ["serve"]
