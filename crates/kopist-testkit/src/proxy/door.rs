//! Where clients come in.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A port of this machine on which somebody serves, each connection in a thread of its own.
/// Dropping it closes it; connections that exist go on.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Door {
    pub(super) fn open(
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let stopped = Arc::new(AtomicBool::new(false));
        let (ended, serve) = (Arc::clone(&stopped), Arc::new(serve));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                let serve = Arc::clone(&serve);
                // An error ends the connection, which is all that a client learns of it.
                std::thread::spawn(move || drop(serve(client)));
            }
        });
        Self { address, stopped }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}
