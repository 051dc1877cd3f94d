//! Objects of one type, newest first, with the indexes that lists need.

use std::ops::Range;

use super::error::ApiError;
use super::paging::{Cursor, Paging};

/// Object that a list shows.
pub(super) trait Listed {
    /// Properties by which a list is filtered with an index.
    const GROUPS: &'static [Group] = &[];

    /// Id.
    fn id(&self) -> &str;

    /// Creation time in Unix seconds.
    fn created(&self) -> i64;

    /// Value of a property; `None` if the object lacks it.
    fn group(&self, _group: Group) -> Option<&str> {
        None
    }
}

/// Property with an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Customer,
    Subscription,
    TestClock,
}

/// Objects, newest first. Objects of one second are in the reverse order of their addition.
pub(super) struct Collection<T> {
    rows: Vec<T>,
    by_id: Vec<u32>,
    groups: Vec<(Group, Vec<u32>)>,
}

/// Page of a list.
pub(super) struct Page<'a, T> {
    pub(super) rows: Vec<&'a T>,
    pub(super) has_more: bool,
}

impl<T> Default for Collection<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), by_id: Vec::new(), groups: Vec::new() }
    }
}

impl<T: Listed> Collection<T> {
    /// Creates the collection from objects in the order of their addition.
    pub(super) fn new(mut rows: Vec<T>) -> Self {
        rows.reverse();
        rows.sort_by_key(|row| std::cmp::Reverse(row.created()));
        rows.shrink_to_fit();
        let positions = || 0..u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let at = |position: &u32| &rows[*position as usize];
        let mut by_id: Vec<u32> = positions().collect();
        by_id.sort_by(|a, b| at(a).id().cmp(at(b).id()));
        let groups = T::GROUPS
            .iter()
            .map(|&group| {
                let mut index: Vec<u32> =
                    positions().filter(|it| at(it).group(group).is_some()).collect();
                // Stable: the newest of a group stays its first.
                index.sort_by(|a, b| at(a).group(group).cmp(&at(b).group(group)));
                (group, index)
            })
            .collect();
        Self { rows, by_id, groups }
    }

    /// Number of objects.
    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Object of an id.
    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.position(id).map(|position| &self.rows[position])
    }

    /// Page of the objects of all these groups that `keep` accepts.
    ///
    /// # Errors
    ///
    /// The cursor names no object.
    pub(super) fn page(
        &self,
        paging: &Paging,
        groups: &[(Group, Option<&str>)],
        keep: impl Fn(&T) -> bool,
    ) -> Result<Page<'_, T>, ApiError> {
        let mut range = self.range(paging);
        if let Some(cursor) = &paging.cursor {
            let position = self.position(cursor.id()).ok_or_else(|| cursor.missing())?;
            match cursor {
                Cursor::After(_) => range.start = range.start.max(position + 1),
                Cursor::Before(_) => range.end = range.end.min(position),
            }
        }
        range.end = range.end.max(range.start);
        let chosen = groups.iter().find_map(|(group, key)| Some((*group, (*key)?)));
        let accept = |position: &usize| {
            let row = &self.rows[*position];
            let is_member = |(group, key): &(Group, Option<&str>)| {
                key.is_none_or(|key| row.group(*group) == Some(key))
            };
            groups.iter().all(is_member) && keep(row)
        };
        let forward = !matches!(paging.cursor, Some(Cursor::Before(_)));
        let wanted = paging.limit + 1;
        let mut positions: Vec<usize> = match (chosen, forward) {
            (None, true) => range.filter(accept).take(wanted).collect(),
            (None, false) => range.rev().filter(accept).take(wanted).collect(),
            (Some((group, key)), _) => {
                let members = self.members(group, key, &range);
                let members = members.iter().map(|position| *position as usize);
                if forward {
                    members.filter(accept).take(wanted).collect()
                } else {
                    members.rev().filter(accept).take(wanted).collect()
                }
            }
        };
        let has_more = positions.len() > paging.limit;
        positions.truncate(paging.limit);
        if !forward {
            positions.reverse();
        }
        let rows = positions.into_iter().map(|position| &self.rows[position]).collect();
        Ok(Page { rows, has_more })
    }

    fn range(&self, paging: &Paging) -> Range<usize> {
        let created = paging.created;
        let start = self.rows.partition_point(|row| row.created() > created.high);
        let end = self.rows.partition_point(|row| row.created() >= created.low);
        start..end
    }

    fn position(&self, id: &str) -> Option<usize> {
        let id_at = |position: &u32| self.rows[*position as usize].id();
        let found = self.by_id.binary_search_by(|position| id_at(position).cmp(id)).ok()?;
        Some(self.by_id[found] as usize)
    }

    /// Positions within a range of the objects of a group.
    fn members(&self, group: Group, key: &str, range: &Range<usize>) -> &[u32] {
        let Some((_, index)) = self.groups.iter().find(|(other, _)| *other == group) else {
            return &[];
        };
        let key_at = |position: &u32| self.rows[*position as usize].group(group);
        let start = index.partition_point(|position| key_at(position) < Some(key));
        let end = index.partition_point(|position| key_at(position) <= Some(key));
        let members = &index[start..end];
        let from = members.partition_point(|position| (*position as usize) < range.start);
        let to = members.partition_point(|position| (*position as usize) < range.end);
        &members[from..to]
    }
}
