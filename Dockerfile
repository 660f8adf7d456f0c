# The image of the sidecar: the one binary on a distroless base, without a shell, as a user without rights.
# Build: docker build -t outrider .      Run: docker run -v ./sidecar.yaml:/etc/outrider/sidecar.yaml:ro outrider
# Health is asked from outside (/livez and /readyz of the health listener): there is nothing in here to ask with.

FROM rust:1.95.0-bookworm AS builder
WORKDIR /src
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY src ./src
RUN cargo build --locked --profile dist --bin outrider

# glibc of Debian 12 on both sides; `cc` is the base that has libgcc, which unwinding needs.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=builder /src/target/dist/outrider /usr/local/bin/outrider
# `nonroot`, as a number so that `runAsNonRoot` can be checked.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/outrider"]
CMD ["proxy", "-c", "/etc/outrider/sidecar.yaml"]
