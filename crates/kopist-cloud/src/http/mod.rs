//! One HTTP client for every store that speaks HTTP.
//!
//! A [`Client`] sends a [`Request`], whose body is a list of borrowed slices (a pack is never
//! copied to be sent), and returns the whole [`Answer`]. It neither retries nor follows
//! redirects: the wrapper `Retry` of `kopist-blob` does the first, and no service that we know
//! needs the second from us.
//!
//! Whatever goes wrong becomes one of the errors of `kopist-blob` in [`crate::site`], the one
//! place that words them: a [`Failure`] is what the network did, a `Meaning` is what an answer
//! with an error status says.
//!
//! Timeouts: 30 s to connect, 60 s of silence, and more after a body that the server may have to
//! pass on before it answers. There is none for the whole of a transfer, since slow lines are no
//! reason to give up.

mod answer;
#[cfg(any(feature = "azure", feature = "s3"))]
mod ask;
mod client;
mod connector;
mod date;
mod early;
mod failure;
mod payload;
mod proxies;
mod range;
mod refusal;
mod trust;
mod uri;

pub(crate) use answer::Answer;
#[cfg(any(feature = "azure", feature = "s3"))]
pub(crate) use ask::Ask;
pub(crate) use client::{Client, Request};
pub(crate) use date::{http_date, parse_http_date};
pub(crate) use failure::Failure;
pub(crate) use payload::length;
pub(crate) use range::{Fetched, read};
pub(crate) use trust::Trust;
pub(crate) use uri::{encode_path, encode_query, encode_segment, query};
