//! A connection to the server that can be cut where it hurts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use subledger::store::DatabaseUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// A port that leads to the server.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) url: DatabaseUrl,
    /// Whether the next commit reaches the server and its answer nobody.
    armed: Arc<AtomicBool>,
    cut: Arc<AtomicUsize>,
}

impl Proxy {
    /// To the database that belongs to a folder.
    pub(super) async fn to(folder: &std::path::Path) -> Self {
        let DatabaseUrl::Postgres(url) = crate::database(folder) else { panic!("a server's") };
        let (address, socket) = url.split_once("?host=").unwrap();
        let database = address.rsplit_once('/').unwrap().1;
        let socket = PathBuf::from(socket).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable");
        let proxy = Self {
            url: DatabaseUrl::parse(&url).unwrap(),
            armed: Arc::default(),
            cut: Arc::default(),
        };
        let (armed, cut) = (Arc::clone(&proxy.armed), Arc::clone(&proxy.cut));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(relay(client, server, Arc::clone(&armed), Arc::clone(&cut)));
            }
        });
        proxy
    }

    /// Lets the next commit through, and cuts its connection before the answer.
    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// How many connections were cut.
    pub(super) fn cut(&self) -> usize {
        self.cut.load(Ordering::SeqCst)
    }
}

async fn relay(
    mut client: TcpStream,
    mut server: UnixStream,
    armed: Arc<AtomicBool>,
    cut: Arc<AtomicUsize>,
) {
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let sent = &from_client[..count];
                let commits = sent.windows(7).any(|it| it == b"COMMIT\0");
                if server.write_all(sent).await.is_err() {
                    return;
                }
                if commits && armed.swap(false, Ordering::SeqCst) {
                    // The server has done it when it answers.
                    let _ = server.read(&mut from_server).await;
                    cut.fetch_add(1, Ordering::SeqCst);
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
