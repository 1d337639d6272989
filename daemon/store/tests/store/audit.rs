//! The audit trail: a chain that shows every change, and keeps its strength when its old end is cut off.

use sloth_core::record::Record;
use sloth_store::{AuditBroken, AuditFilter, Store};

use crate::things::*;

fn trail(n: u32) -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    for i in 1..=n {
        store.write(vec![Record::Audit(Box::new(audit(i)))]).expect("written");
    }
    (dir, store)
}

/// Changes the file behind the back of the store, without its triggers.
fn tamper(dir: &tempfile::TempDir, store: Store, sql: &str) -> Store {
    let path = dir.path().join("stacks.db");
    drop(store);
    let conn = rusqlite::Connection::open(&path).expect("open");
    conn.execute_batch("DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete;").expect("dropped");
    conn.execute_batch(sql).expect("changed");
    drop(conn);
    open(&path).0
}

#[test]
fn a_whole_chain() {
    let (_dir, store) = trail(20);
    assert_eq!(store.audit_verify().expect("read"), Ok(20));
    let page = store.audit(&AuditFilter::default(), 15).expect("read");
    assert_eq!((page.items.len(), page.items[0].seq, page.next), (15, 20, Some(6)));
    let rest = store.audit(&AuditFilter { before: page.next, ..AuditFilter::default() }, 15).expect("read");
    assert_eq!((rest.items.len(), rest.next), (5, None));
    let row = &rest.items[4];
    assert_eq!((row.seq, row.user.as_str(), row.object_id.as_str()), (1, "ann", "nightly-1"));
    assert_eq!(row.details, r#"{"trigger":"30 2 * * *"}"#);
    let filter = AuditFilter { action: Some("schedule:*".into()), since: Some(at(19)), ..AuditFilter::default() };
    assert_eq!(store.audit(&filter, 15).expect("read").items.len(), 2);
}

#[test]
fn the_tables_refuse_changes() {
    let (dir, store) = trail(3);
    drop(store);
    let conn = rusqlite::Connection::open(dir.path().join("stacks.db")).expect("open");
    for sql in ["UPDATE audit SET user = 'bob' WHERE seq = 2", "DELETE FROM audit WHERE seq = 1", "DELETE FROM audit"] {
        let error = conn.execute(sql, []).expect_err(sql);
        assert!(error.to_string().contains("cannot be changed"), "{error}");
    }
}

#[test]
fn every_change_is_found() {
    let broken = |seq, why: &str| Err(AuditBroken { seq, why: why.into() });
    for (sql, expected) in [
        ("UPDATE audit SET user = 'bob' WHERE seq = 7", broken(7, "it was changed")),
        ("UPDATE audit SET details = '{}' WHERE seq = 7", broken(7, "it was changed")),
        ("UPDATE audit SET reason = '' WHERE seq = 7", broken(7, "it was changed")),
        ("UPDATE audit SET hash = prev_hash WHERE seq = 7", broken(7, "it was changed")),
        ("DELETE FROM audit WHERE seq = 7", broken(8, "an entry before it is missing")),
        ("DELETE FROM audit WHERE seq < 7", broken(7, "the entries before it are missing")),
        (
            "DELETE FROM audit WHERE seq = 7; UPDATE audit SET seq = seq - 1 WHERE seq > 7",
            broken(7, "it does not follow the entry before"),
        ),
    ] {
        let (dir, store) = trail(10);
        let store = tamper(&dir, store, sql);
        assert_eq!(store.audit_verify().expect("read"), expected, "{sql}");
    }
}

#[test]
fn pruning_keeps_the_chain() {
    let (dir, store) = trail(20);
    assert_eq!(store.prune_audit(at(11), at(100)).expect("pruned"), 10);
    assert_eq!(store.audit_verify().expect("read"), Ok(11), "ten entries and the checkpoint");
    let newest = &store.audit(&AuditFilter::default(), 1).expect("read").items[0];
    assert_eq!((newest.seq, newest.action.as_str(), newest.object_id.as_str()), (21, "audit:prune", "10"));
    assert_eq!(store.prune_audit(at(11), at(100)).expect("pruned"), 0);
    assert_eq!(store.prune_audit(at(16), at(200)).expect("pruned"), 5);
    store.write(vec![Record::Audit(Box::new(audit(300)))]).expect("written");
    assert_eq!(store.audit_verify().expect("read"), Ok(8));
    let store = tamper(&dir, store, "DELETE FROM audit WHERE seq = 16");
    assert!(store.audit_verify().expect("read").is_err());
}
