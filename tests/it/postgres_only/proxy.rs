//! A way to the server that can be cut, lose everything, or lead elsewhere.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use subledger::store::DatabaseUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// Request that reaches the server while its answer is lost.
#[derive(Debug, Default)]
struct Trap {
    /// A part of the message that is waited for.
    part: Mutex<Option<&'static [u8]>>,
    cut: AtomicUsize,
}

/// Treatment of existing and of new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Way {
    /// Nothing arrives any more, in either direction, and no end learns of it.
    is_lost: bool,
    /// Rises when all connections are cut.
    cuts: usize,
    /// New connections are cut at once.
    is_closed: bool,
}

/// A port that leads to the server.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: DatabaseUrl,
    socket: Arc<Mutex<PathBuf>>,
    trap: Arc<Trap>,
    way: watch::Sender<Way>,
}

impl Proxy {
    /// To the database that belongs to a folder.
    pub(crate) async fn to(folder: &Path) -> Self {
        let url = crate::cluster::address(folder);
        let (address, socket) = url.split_once("?host=").unwrap();
        let database = address.rsplit_once('/').unwrap().1;
        Self::to_socket(Path::new(socket).join(".s.PGSQL.5432"), database).await
    }

    /// To a database behind a socket.
    pub(crate) async fn to_socket(socket: PathBuf, database: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable");
        let proxy = Self {
            url: DatabaseUrl::parse(&url).unwrap(),
            socket: Arc::new(Mutex::new(socket)),
            trap: Arc::default(),
            way: watch::Sender::default(),
        };
        let (socket, trap) = (Arc::clone(&proxy.socket), Arc::clone(&proxy.trap));
        let way = proxy.way.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let to = socket.lock().unwrap().clone();
                // Nobody there: the client finds its connection closed.
                if let Ok(server) = UnixStream::connect(&to).await {
                    tokio::spawn(lead(client, server, Arc::clone(&trap), way.clone()));
                }
            }
        });
        proxy
    }

    /// Leads new connections to another server, and cuts the others.
    pub(crate) fn turn_to(&self, socket: PathBuf) {
        *self.socket.lock().unwrap() = socket;
        self.way.send_modify(|way| way.cuts += 1);
    }

    /// Loses everything that is sent from now on.
    pub(crate) fn lose(&self) {
        self.way.send_modify(|way| way.is_lost = true);
    }

    /// Lets new connections through again; what was lost stays lost.
    pub(crate) fn heal(&self) {
        self.way.send_modify(|way| way.is_lost = false);
    }

    /// Cuts all connections, and each new one at once.
    pub(crate) fn close(&self) {
        self.way.send_modify(|way| {
            way.cuts += 1;
            way.is_closed = true;
        });
    }

    /// Lets new connections through again.
    pub(crate) fn reopen(&self) {
        self.way.send_modify(|way| way.is_closed = false);
    }

    /// Lets the next message with this in it through, and cuts its connection before the answer.
    pub(crate) fn cut_after(&self, part: &'static [u8]) {
        *self.trap.part.lock().unwrap() = Some(part);
    }

    /// Forgets the message that is waited for.
    pub(crate) fn cut_no_more(&self) {
        *self.trap.part.lock().unwrap() = None;
    }

    /// Number of connections that were cut.
    pub(crate) fn cut(&self) -> usize {
        self.trap.cut.load(Ordering::SeqCst)
    }
}

/// Relays until the connection is cut; one that is lost is held for ever.
async fn lead(
    client: TcpStream,
    server: UnixStream,
    trap: Arc<Trap>,
    mut way: watch::Receiver<Way>,
) {
    let before = *way.borrow_and_update();
    if before.is_closed {
        return;
    }
    // The streams stay open while this waits.
    let (mut client, mut server) = (client, server);
    let changed = way.wait_for(|now| now.is_lost || now.cuts != before.cuts);
    let is_lost = tokio::select! {
        biased;
        now = changed => now.is_ok_and(|now| now.is_lost),
        () = relay(&mut client, &mut server, trap) => false,
    };
    if is_lost {
        std::future::pending::<()>().await;
    }
}

async fn relay(client: &mut TcpStream, server: &mut UnixStream, trap: Arc<Trap>) {
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let sent = &from_client[..count];
                if server.write_all(sent).await.is_err() {
                    return;
                }
                if trap.takes(sent) {
                    // The server has done it when it answers.
                    let _ = server.read(&mut from_server).await;
                    trap.cut.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&from_server[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Trap {
    fn takes(&self, sent: &[u8]) -> bool {
        let mut part = self.part.lock().unwrap();
        part.take_if(|part| sent.windows(part.len()).any(|it| it == *part)).is_some()
    }
}
