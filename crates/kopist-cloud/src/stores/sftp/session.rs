//! A session: requests and their answers.
//!
//! All operations share one connection, so an answer may have to wait for megabytes that were
//! asked for before. How long that takes says nothing on a slow line; hence requests have no
//! deadlines of their own. The server may be silent for some time, that is all. And so that
//! small requests do not wait for long, only so much data is asked for, or on its way, at once.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::{FileAttributes, Packet, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;

use super::connection::Transport;

/// Bytes of one request: every server takes that many.
const CHUNK: usize = 32 << 10;

/// Requests with that many bytes that wait for their answers at the same time. Together they are
/// 2 MiB, which is also what a channel of SSH lets pass without being told to go on.
const OUTSTANDING: usize = 64;

/// The deadline of russh-sftp in seconds. It counts from before a request is sent, so it only
/// stands for an answer that was forgotten while others came.
const DEADLINE: u64 = 3600;

/// How often somebody who waits for an answer looks whether there is a connection.
const LOOK: Duration = Duration::from_millis(500);

/// What replaces one file by another.
const REPLACE: &str = "posix-rename@openssh.com";

/// A session, and what keeps it alive.
pub(super) struct Session {
    pub(super) sftp: RawSftpSession,
    can_sync: bool,
    can_replace: bool,
    transport: Transport,
    /// How long the server may say nothing.
    silence: Duration,
    heard: Arc<Mutex<Instant>>,
    room: Semaphore,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

/// A server that has said what it can.
pub(super) struct Greeting {
    sftp: RawSftpSession,
    version: Version,
    heard: Arc<Mutex<Instant>>,
}

/// Starts SFTP on a stream.
pub(super) async fn greet(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Greeting, Error> {
    let heard = Arc::new(Mutex::new(Instant::now()));
    let sftp = RawSftpSession::new(Listening { stream, heard: Arc::clone(&heard) });
    sftp.set_timeout(DEADLINE);
    let version = sftp.init().await?;
    Ok(Greeting { sftp, version, heard })
}

impl Session {
    /// A session whose stream `transport` keeps open, and in which the server may say nothing
    /// for that long.
    pub(super) fn new(greeting: Greeting, transport: Transport, silence: Duration) -> Self {
        let Greeting { sftp, version, heard } = greeting;
        let offers = |name: &str| version.extensions.contains_key(name);
        Self {
            can_sync: offers("fsync@openssh.com"),
            can_replace: offers(REPLACE),
            sftp,
            transport,
            silence,
            heard,
            room: Semaphore::new(OUTSTANDING),
        }
    }

    /// Waits for answers, as long as there is a connection and something is heard. What is asked
    /// just when it ends is never answered (russh-sftp forgets whoever waits before it refuses to
    /// send).
    pub(super) async fn answer<T>(
        &self,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match select(pin!(question), pin!(self.lost())).await {
            Either::Left((answer, _)) => answer,
            Either::Right((error, _)) => Err(error),
        }
    }

    /// Ends soon after the connection has.
    async fn lost(&self) -> Error {
        let asked = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            if self.transport.has_ended() {
                return Error::IO("it has ended".to_owned());
            }
            let heard = *self.heard.lock();
            if heard.max(asked).elapsed() >= self.silence {
                return Error::IO(format!("nothing came for {:?}", self.silence));
            }
        }
    }

    /// Reads up to `length` bytes onto `all`; fewer if the file ends before.
    pub(super) async fn read(
        &self,
        handle: &str,
        offset: u64,
        length: u64,
        all: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let chunks = length.div_ceil(CHUNK as u64);
        let parts = stream::iter(0..chunks).map(|number| async move {
            let start = number * CHUNK as u64;
            let wanted = (length - start).min(CHUNK as u64) as usize;
            let _room = self.room.acquire().await.map_err(closed)?;
            let mut data = Vec::new();
            // A server may answer with less than was asked for.
            while data.len() < wanted {
                let at = offset + start + data.len() as u64;
                match self.sftp.read(handle, at, (wanted - data.len()) as u32).await {
                    Ok(part) if part.data.is_empty() => break,
                    Ok(part) if data.is_empty() => data = part.data,
                    Ok(part) => data.extend_from_slice(&part.data),
                    Err(Error::Status(status)) if status.status_code == StatusCode::Eof => break,
                    Err(error) => return Err(error),
                }
            }
            Ok((data.len() == wanted, data))
        });
        self.answer(async {
            let mut parts = pin!(parts.buffered(OUTSTANDING));
            while let Some((whole, part)) = parts.try_next().await? {
                all.extend_from_slice(&part);
                if !whole {
                    break;
                }
            }
            Ok(())
        })
        .await
    }

    /// Writes a file from its start.
    pub(super) async fn write(&self, handle: &str, data: &[&[u8]]) -> Result<(), Error> {
        let mut offset = 0_u64;
        let chunks = data.iter().flat_map(|part| part.chunks(CHUNK)).map(|chunk| {
            let at = offset;
            offset += chunk.len() as u64;
            (at, chunk)
        });
        let writes = stream::iter(chunks).map(|(at, chunk)| async move {
            let _room = self.room.acquire().await.map_err(closed)?;
            self.sftp.write(handle, at, chunk.to_vec()).await
        });
        let all = writes.buffer_unordered(OUTSTANDING).try_for_each(|_| std::future::ready(Ok(())));
        self.answer(all).await
    }

    /// What a file has become, once the disk of the server has it, if the server can tell.
    pub(super) async fn sync(&self, handle: &str) -> Result<FileAttributes, Error> {
        let sync =
            async { if self.can_sync { self.sftp.fsync(handle).await.map(drop) } else { Ok(()) } };
        self.answer(async {
            let (synced, stat) = futures_util::join!(sync, self.sftp.fstat(handle));
            synced?;
            Ok(stat?.attrs)
        })
        .await
    }

    /// The extension without which nothing can be written, if the server lacks it.
    pub(super) fn missing(&self) -> Option<&'static str> {
        (!self.can_replace).then_some(REPLACE)
    }

    /// Gives a file the name of another, which is replaced.
    pub(super) async fn replace(&self, from: &str, to: &str) -> Result<(), Error> {
        let mut names = Vec::with_capacity(from.len() + to.len() + 8);
        for name in [from, to] {
            names.extend_from_slice(&(name.len() as u32).to_be_bytes());
            names.extend_from_slice(name.as_bytes());
        }
        match self.answer(self.sftp.extended(REPLACE, names)).await? {
            Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
            Packet::Status(status) => Err(status.into()),
            _ => Err(Error::UnexpectedPacket),
        }
    }
}

/// The room for requests is never closed.
#[allow(clippy::needless_pass_by_value)] // as `map_err` calls it
fn closed(error: tokio::sync::AcquireError) -> Error {
    Error::UnexpectedBehavior(error.to_string())
}

/// A stream that knows when something last came.
struct Listening<S> {
    stream: S,
    heard: Arc<Mutex<Instant>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Listening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            *self.heard.lock() = Instant::now();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listening<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
