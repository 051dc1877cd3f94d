use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::error::SpillFailure;
use super::{Pieces, Spill, StatelessRows, TimelineEvent};
use crate::ids::{CustomerId, CustomerKey, Position, Scope};
use crate::projection::customers::FoldedCustomer;
use crate::projection::state::CustomerState;
use crate::projection::user_candidate::{CandidateSource, UserCandidate};
use crate::store::StoreError;
use crate::time::StripeTime;

const ALL: Pieces = Pieces { customers: usize::MAX, bytes: usize::MAX };

/// Customer with one event on its timeline, and a state in which that event's position can be seen.
fn customer(id: &str, position: i64) -> FoldedCustomer<StatelessRows> {
    let key = CustomerKey { scope: Scope::default(), customer: CustomerId::from(id) };
    let last_email = Some((StripeTime(position), format!("{position}@shop.example")));
    let state = CustomerState { last_email, ..CustomerState::default() };
    let event = TimelineEvent {
        subscription: None,
        position: Position(position),
        created: StripeTime(position),
    };
    let candidate = UserCandidate {
        source: CandidateSource::CustomerMetadata,
        key: "user_id".to_owned(),
        value: format!("user_{}", position % 2),
    };
    let extra = StatelessRows { timeline: vec![event], candidates: [candidate].into() };
    FoldedCustomer::new(key, Some(state), extra)
}

fn spill(directory: &Path) -> Spill {
    let mut spill = Spill::new(directory.to_owned());
    spill.write_run([customer("cus_1", 1), customer("cus_3", 2)]).unwrap();
    spill.write_run([customer("cus_1", 3), customer("cus_2", 4)]).unwrap();
    spill
}

/// Merged customer: id, positions, greatest position in the state, number of candidates for users.
type Joined = (String, Vec<i64>, i64, usize);

fn merged(spill: Spill) -> Result<Vec<Joined>, StoreError> {
    let mut merge = spill.merge(vec![customer("cus_1", 5), customer("cus_4", 6)], 0)?;
    let mut all = Vec::new();
    while let Some(piece) = merge.next_piece(Pieces { customers: 2, ..ALL })? {
        assert!(piece.len() <= 2);
        for merged in piece {
            let FoldedCustomer { key, state, extra, .. } = merged.join()?;
            let mut positions: Vec<_> = extra.timeline.iter().map(|it| it.position.0).collect();
            positions.sort_unstable();
            let latest = state.unwrap().last_email.unwrap().0.0;
            all.push((key.customer.into_string(), positions, latest, extra.candidates.len()));
        }
    }
    Ok(all)
}

#[test]
fn customers_come_once_in_the_order_of_their_keys_with_everything_that_was_known() {
    let directory = tempfile::tempdir().unwrap();
    let expected = [
        ("cus_1".to_owned(), vec![1, 3, 5], 5, 1),
        ("cus_2".to_owned(), vec![4], 4, 1),
        ("cus_3".to_owned(), vec![2], 2, 1),
        ("cus_4".to_owned(), vec![6], 6, 1),
    ];
    let spill = spill(directory.path());
    assert!(spill.bytes() > 0 && spill.runs() == 2);
    // The file has no name.
    #[cfg(unix)]
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    assert_eq!(merged(spill).unwrap(), expected);
}

#[test]
fn a_file_that_was_damaged_or_cut_short_is_an_error_that_names_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let length = spill(directory.path()).bytes();
    for at in 0..length {
        let spill = spill(directory.path());
        let mut file = &**spill.file.as_ref().unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        // No byte of these records is that.
        file.write_all(&[0xee]).unwrap();
        let error = merged(spill).expect_err("damage").to_string();
        let named = directory.path().to_str().unwrap();
        assert!(error.contains(named) && error.contains("is damaged: "), "{at}: {error}");
    }
    for bytes in 0..length {
        let spill = spill(directory.path());
        Arc::clone(spill.file.as_ref().unwrap()).set_len(bytes).unwrap();
        let error = merged(spill).expect_err("a short file").to_string();
        assert!(error.contains("shorter"), "{bytes} bytes: {error}");
    }
}

#[test]
fn a_full_disk_and_a_directory_that_is_missing_are_errors_that_name_the_directory() {
    let full = SpillFailure::Io(io::ErrorKind::StorageFull.into());
    let full = full.into_store_error(Path::new("/data"));
    assert!(matches!(full, StoreError::CannotGrow(_)));
    assert!(full.to_string().contains("the temporary file of the rebuild in /data"), "{full}");
    let missing = Spill::new("/nowhere".into()).write_run([customer("cus_1", 1)]).unwrap_err();
    assert!(missing.to_string().contains("in /nowhere cannot be used: "), "{missing}");
}
