//! A place that keeps named blobs: the store trait, the filesystem and memory stores, and their wrappers
