//! Answers that come before the request has been sent.
//!
//! A server may refuse a large body unread: it answers, and closes the connection. All that ureq
//! tells of it is that sending failed, though the answer that says why (the key, the quota) has
//! come. So this transport does not report that sending failed: it drops the rest of the body and
//! lets ureq read on. Only a refusal counts then. A server that has not got everything cannot
//! have done what was asked, and without a refusal the failure is the outcome after all.
//!
//! `Expect: 100-continue` would serve as well, but costs a round trip for each body, and a second
//! with every server that does not know it.

use std::fmt;
use std::io;
use std::time::Duration;

use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// How long an answer is waited for when sending has failed. As a rule it is there already.
const A_MOMENT: Duration = Duration::from_secs(2);

/// Where the first digit of the status is: `HTTP/1.1 403`.
const STATUS: usize = 9;

/// The last link of the chain of connectors.
#[derive(Debug)]
pub(super) struct EarlyAnswers {
    proxies: Vec<Uri>,
}

impl EarlyAnswers {
    /// For connections to anybody but these proxies, whose connections only carry others.
    pub(super) fn not_of(proxies: Vec<Uri>) -> Self {
        Self { proxies }
    }
}

impl<In: Transport> Connector<In> for EarlyAnswers {
    type Out = EarlyAnswer<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let heard = !self.proxies.contains(details.uri);
        Ok(chained.map(|inner| EarlyAnswer { inner, heard, sending: Sending::Works }))
    }
}

#[derive(Debug)]
enum Sending {
    Works,
    /// It failed, and what the server says of it has not been read yet.
    Failed(Error),
    /// It failed, and that has been told.
    Over,
}

pub(super) struct EarlyAnswer<T> {
    inner: T,
    heard: bool,
    sending: Sending,
}

impl<T> fmt::Debug for EarlyAnswer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyAnswer").field("sending", &self.sending).finish_non_exhaustive()
    }
}

impl<T: Transport> Transport for EarlyAnswer<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !matches!(self.sending, Sending::Works) {
            return Ok(());
        }
        match self.inner.transmit_output(amount, timeout) {
            Err(error) if self.heard => {
                self.sending = Sending::Failed(error);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !matches!(self.sending, Sending::Failed(_)) {
            return self.inner.await_input(timeout).map_err(plain);
        }
        let timeout = NextTimeout { per_read: Some(A_MOMENT.into()), ..timeout };
        let refused = loop {
            match self.inner.await_input(timeout) {
                Ok(true) => {}
                Ok(false) | Err(_) => break false,
            }
            let head = self.inner.buffers().input();
            if let Some(digit) = head.get(STATUS) {
                break head.starts_with(b"HTTP/1.") && matches!(digit, b'4' | b'5');
            }
        };
        match std::mem::replace(&mut self.sending, Sending::Over) {
            Sending::Failed(error) if !refused => Err(error),
            _ => Ok(true),
        }
    }

    fn is_open(&mut self) -> bool {
        matches!(self.sending, Sending::Works) && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// A connection that was reset: ureq would take it for the end of a body whose length nobody has
/// told.
fn plain(error: Error) -> Error {
    use io::ErrorKind as K;
    match error {
        Error::Io(error) if matches!(error.kind(), K::ConnectionReset | K::ConnectionAborted) => {
            Error::Io(io::Error::other(error))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::unversioned::transport::LazyBuffers;

    /// A connection on which nothing can be sent, with what comes on it.
    struct Deaf {
        buffers: LazyBuffers,
        pieces: Vec<&'static [u8]>,
    }

    impl fmt::Debug for Deaf {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Deaf")
        }
    }

    impl Transport for Deaf {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
            Err(Error::Io(io::ErrorKind::BrokenPipe.into()))
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
            if self.pieces.is_empty() {
                return Err(Error::Io(io::ErrorKind::ConnectionReset.into()));
            }
            let piece = self.pieces.remove(0);
            self.buffers.input_append_buf()[..piece.len()].copy_from_slice(piece);
            self.buffers.input_appended(piece.len());
            Ok(true)
        }

        fn is_open(&mut self) -> bool {
            true
        }
    }

    /// What is heard after a body that nobody took.
    fn heard(pieces: &[&'static [u8]]) -> Result<bool, Error> {
        let inner = Deaf { buffers: LazyBuffers::new(1024, 1024), pieces: pieces.to_vec() };
        let mut transport = EarlyAnswer { inner, heard: true, sending: Sending::Works };
        for _ in 0..3 {
            transport.transmit_output(1, NextTimeout::default()).unwrap();
        }
        assert!(!transport.is_open(), "nothing can follow on this connection");
        transport.await_input(NextTimeout::default())
    }

    #[test]
    fn only_refusals_count_when_the_body_was_not_taken() {
        assert!(heard(&[b"HTTP/1.1 403 Forbidden\r\n\r\n"]).unwrap());
        assert!(heard(&[b"HTTP/1", b".0 5", b"07 Full\r\n\r\n"]).unwrap());
        for pieces in [
            &[][..],
            &[&b"HTTP/1.1 200 OK\r\n\r\n"[..]],
            &[&b"HTTP/1.1 100 Continue\r\n\r\n"[..]],
            &[&b"HTTP"[..]],
            &[&b"something else"[..]],
        ] {
            let error = heard(pieces).unwrap_err();
            assert!(
                matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe),
                "{error}"
            );
        }
    }

    #[test]
    fn a_reset_is_never_the_end_of_a_body() {
        let inner = Deaf { buffers: LazyBuffers::new(1024, 1024), pieces: Vec::new() };
        let mut transport = EarlyAnswer { inner, heard: true, sending: Sending::Works };
        let error = transport.await_input(NextTimeout::default()).unwrap_err();
        assert!(
            matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::Other),
            "{error}"
        );
    }
}
