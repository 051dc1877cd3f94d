//! Addresses that are bound before anything else happens.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::StartError;

/// Bound address that is not served yet. A client that connects waits.
pub(super) struct BoundSocket {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
}

impl BoundSocket {
    pub(super) async fn bind(address: &str) -> Result<Self, StartError> {
        let listen = async {
            let socket = TcpListener::bind(address).await?;
            Ok(Self { address: socket.local_addr()?, socket })
        };
        let error = |source| StartError::Listen { address: address.to_owned(), source };
        listen.await.map_err(error)
    }
}
