use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use sceau::dev::host::{ensure_free, free_port};

#[test]
fn a_taken_address_is_named_with_its_holder() {
    for ip in ["127.0.0.1", "0.0.0.0"] {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let error = ensure_free(address).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        if std::path::Path::new("/proc/net/tcp").exists() {
            assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        }
        drop(listener);
        assert!(becomes_free(address), "{address} is refused although nobody listens there");
    }
}

/// A child that another test starts at this moment holds a copy of the listener until it executes its program, and a
/// connection of another test may be given the port: wait for both to pass.
fn becomes_free(address: SocketAddr) -> bool {
    (0..200).any(|_| {
        let free = ensure_free(address).is_ok();
        if !free {
            std::thread::sleep(Duration::from_millis(50));
        }
        free
    })
}

#[test]
fn a_free_port_is_free() {
    assert!(becomes_free(([127, 0, 0, 1], free_port().unwrap()).into()));
}
