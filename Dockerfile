# Cofferdam with what builds need. Not built in this project's own CI; docs/operations.md says what was tried.
FROM node:24-bookworm-slim

RUN apt-get update \
  && apt-get install --yes --no-install-recommends \
    ca-certificates crun e2fsprogs gcc git iproute2 libc6-dev mmdebstrap mount nftables openssh-client redis-server skopeo tar uidmap \
    util-linux zstd \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/cofferdam
COPY . .
# Node and packages from npm, the compiled holder, the lines in /etc/subuid and /etc/subgid. Docker builds have no
# privileges: that builds will not run here is said, and is no error; what counts is what a worker finds when it starts.
RUN bin/bootstrap --host

VOLUME /var/lib/cofferdam
EXPOSE 8080
ENTRYPOINT ["/opt/cofferdam/bin/cofferdam"]
CMD ["up"]
