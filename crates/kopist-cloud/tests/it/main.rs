//! Connections, as the layers above get them, and each kind of store against a real server.
//!
//! A server that is not installed is named in a line that begins with `skipped:`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests may panic

mod answers;
mod azure;
mod azure_locks;
mod b2;
mod connections;
mod errors;
mod faults;
mod gcs;
mod gcs_locks;
mod gdrive;
mod rclone;
mod s3;
mod s3_stub;
mod sftp;
mod support;
mod trust;
mod webdav;
