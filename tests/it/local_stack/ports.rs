use std::net::TcpListener;

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
        ensure_free(address).unwrap();
    }
}

#[test]
fn a_free_port_is_free() {
    ensure_free(([127, 0, 0, 1], free_port().unwrap()).into()).unwrap();
}
