//! Access of one user or customer, read in groups: a statement costs the way to its connection and back, and hardly more
//! for many holders than for one.

use super::access::AccessHolder;
use super::generation::GenerationStamp;
use super::groups::{GROUP_MAX, Groups};
use super::handle::ReadModel;
use super::user_access::HOLDERS_MAX;
use crate::ids::Scope;
use crate::projection::user_access::UserAccess;
use crate::store::error::StoreError;

/// Reader of the access of single users and customers, for many callers at the same time.
#[derive(Debug)]
pub struct AccessGroups {
    read_model: ReadModel,
    groups: Groups<Question, Found>,
}

/// Account and mode, and the user or customer in it.
type Question = (Scope, AccessHolder);
type Found = Result<(GenerationStamp, UserAccess), StoreError>;

const _: () = assert!(GROUP_MAX <= HOLDERS_MAX, "a statement reads a group");

impl ReadModel {
    /// Starts a reader of single users and customers. Its task ends when it is dropped.
    pub fn access_groups(&self) -> AccessGroups {
        let read_model = self.clone();
        let groups = Groups::start(move |asked| {
            let read_model = read_model.clone();
            async move { read_model.access_of_group(&asked).await }
        });
        AccessGroups { read_model: self.clone(), groups }
    }

    /// Reads the access of each holder. Empty if that fails for a reason that need not concern all of them.
    async fn access_of_group(&self, asked: &[Question]) -> Vec<Found> {
        let all: Vec<_> = asked.iter().map(|(scope, holder)| (scope, holder)).collect();
        match self.stored_access(&all).await {
            Ok((stamp, found)) => found.into_iter().map(|access| Ok((stamp, access?))).collect(),
            Err(error) => asked.iter().map_while(|_| error.copy_for_all().map(Err)).collect(),
        }
    }
}

impl AccessGroups {
    /// Reads the access of a holder, at a moment after the call. A holder without subscriptions has an access without
    /// any.
    ///
    /// [`StoreError::ReadModelBuilding`] if no generation is live.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn read(&self, scope: &Scope, holder: AccessHolder) -> Found {
        if let Some(found) = self.groups.ask((scope.clone(), holder.clone())).await {
            return found;
        }
        // A damaged page, or a generation without the table: the others of the group must not suffer from it.
        let (stamp, found) = self.read_model.user_access(scope, &[holder]).await?;
        Ok((stamp, found.into_iter().next().unwrap_or_default()))
    }
}
