# The mover's image: one static binary, a shell for people's commands, the usual authorities and
# time zones. It runs as any user, on a read-only root file system, without HOME and without a
# passwd entry. The program is in it under several names: the path that the operator starts tells
# it to be the mover, `kopia` is the command line.
#
#   docker build --tag kopist .                  compiles in a container, target `final`
#   docker build --target full --tag kopist .    with ssh and rclone as well, the larger flavour
#   docker buildx build --platform linux/amd64,linux/arm64 .
#                                                both machines; the compiler runs on this one
#   cargo xtask image                            compiles here, then builds target `prebuilt`,
#                                                which takes all files from the build context, so
#                                                that it needs neither base image nor network
#
# Arguments: VERSION, REVISION and CREATED become labels. MOVER_USER is the user of containers for
# which nobody chooses one; `0:0` is what the operator's own image has, see docs/image.md.

FROM scratch AS base
ARG VERSION=
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="kopist" \
      org.opencontainers.image.description="Backups in the Kopia repository format: mover for VolSync, and command line" \
      org.opencontainers.image.source="https://github.com/kopist/kopist" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
ENV PATH=/usr/local/bin:/usr/bin:/bin
ARG MOVER_USER=65532:65532
USER $MOVER_USER
ENTRYPOINT ["/kopist"]

FROM base AS prebuilt
COPY image/ /

FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95-bookworm AS build
ARG TARGETARCH
WORKDIR /source
COPY Dockerfile.d/ Dockerfile.d/
RUN Dockerfile.d/toolchain "$TARGETARCH"
COPY . .
RUN Dockerfile.d/compile "$TARGETARCH" /image

# The shell and its tools are Debian's static builds, so that those of any machine can be unpacked
# on this one.
FROM --platform=$BUILDPLATFORM docker.io/library/debian:bookworm-slim AS tools
ARG TARGETARCH
COPY Dockerfile.d/ Dockerfile.d/
RUN Dockerfile.d/tools "$TARGETARCH" /image

# Runs on the target's machine, or an emulator of it: ssh and its libraries are installed.
FROM docker.io/library/debian:bookworm-slim AS full-tools
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
    bash ca-certificates openssh-client rclone tzdata \
 && echo "nobody:x:65532:65532:the image's user:/:/bin/false" >> /etc/passwd \
 && echo "nogroup:x:65532:" >> /etc/group \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*

FROM base AS full
COPY --from=full-tools / /
COPY --from=build /image/ /

FROM base AS final
COPY --from=tools /image/ /
COPY --from=build /image/ /
