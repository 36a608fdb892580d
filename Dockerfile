# The mover's image: one static binary and nothing else. It runs as any user, on a read-only root
# file system, without HOME and without a passwd entry. The program is in it under two names: the
# path that the operator starts tells it to be the mover.
#
#   docker build --tag kopist .     compiles in a container, target `final`;
#   cargo xtask image               compiles here, then builds target `prebuilt`, which starts from
#                                   nothing and takes the files from the build context, so that it
#                                   needs neither a base image nor a network.

FROM scratch AS prebuilt
COPY image/ /
ENTRYPOINT ["/kopist"]

FROM docker.io/library/rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# Naming the target keeps the flag away from build scripts and procedural macros, which cannot be
# static.
RUN target="$(rustc --print host-tuple)" \
 && RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --package kopist --target "$target" \
 && mkdir -p /image/mover-kopia \
 && cp "target/$target/release/kopist" /image/kopist \
 && ln -s /kopist /image/mover-kopia/entry.sh

FROM scratch AS final
COPY --from=build /image/ /
ENTRYPOINT ["/kopist"]
