//! Estimate of the size of a list, from a few of its pages: Stripe's lists do not say how long they are.

use serde::Deserialize;

use super::step::List;
use crate::ids::AccountId;
use crate::stripe_api::{ApiClient, ApiError, ListPage};
use crate::time::{DAY_SECONDS, StripeTime};

/// Ages at which a page is looked at, in days.
const AGES_DAYS: [i64; 8] = [7, 30, 90, 180, 365, 730, 1_460, 2_920];

/// Estimated size of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Number of objects.
    pub objects: u64,
    /// True if the list was read to its end, so that the number is exact.
    pub is_exact: bool,
}

/// Page of a list at some age: its objects, and the time that they span.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Probe {
    /// Creation of the newest object.
    newest: i64,
    /// Creation of the oldest object.
    oldest: i64,
    objects: u64,
    /// True if there are older ones.
    has_more: bool,
}

/// Estimates the size of a list, by at most nine requests.
pub async fn estimate(
    client: &ApiClient,
    list: &List,
    account: &AccountId,
    now: StripeTime,
) -> Result<Estimate, ApiError> {
    let read = async |until: Option<i64>| {
        let until = until.map(|at| at.to_string());
        let mut query: Vec<(&str, &str)> =
            list.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.extend(until.as_deref().map(|at| ("created[lte]", at)));
        client.list_page(list.path, &query, None, Some(account)).await.map(|page| probe(&page))
    };
    let mut probes: Vec<Probe> = read(None).await?.into_iter().collect();
    for age in AGES_DAYS {
        let at = now.0 - age * DAY_SECONDS;
        match probes.last() {
            Some(last) if last.has_more && last.oldest > at => {
                let Some(probe) = read(Some(at)).await? else { break };
                probes.push(probe);
            }
            Some(last) if last.has_more => {}
            _ => break,
        }
    }
    Ok(sum(&probes))
}

/// None for an empty page.
fn probe(page: &ListPage) -> Option<Probe> {
    #[derive(Deserialize)]
    struct Created {
        created: i64,
    }
    let created = |object: &str| serde_json::from_str::<Created>(object).ok().map(|it| it.created);
    Some(Probe {
        newest: created(page.objects.first()?.get())?,
        oldest: created(page.objects.last()?.get())?,
        objects: page.objects.len() as u64,
        has_more: page.has_more,
    })
}

/// Sums the pages and, between two of them, their mean number of objects a second.
fn sum(probes: &[Probe]) -> Estimate {
    let seen: u64 = probes.iter().map(|it| it.objects).sum();
    let between = probes.windows(2).map(|two| {
        let gap = (two[0].oldest - two[1].newest).max(0);
        (u128::from(density(&two[0])) + u128::from(density(&two[1])))
            * u128::from(gap.unsigned_abs())
            / (2 * u128::from(DENSITY_UNIT))
    });
    let between: u128 = between.sum();
    let is_exact = probes.len() <= 1 && probes.last().is_none_or(|it| !it.has_more);
    Estimate { objects: seen.saturating_add(u64::try_from(between).unwrap_or(u64::MAX)), is_exact }
}

/// Unit of a density: objects in so many seconds.
const DENSITY_UNIT: u64 = 1_000_000;

fn density(probe: &Probe) -> u64 {
    let seconds = (probe.newest - probe.oldest).max(1).unsigned_abs();
    probe.objects.saturating_mul(DENSITY_UNIT) / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(newest: i64, oldest: i64, objects: u64, has_more: bool) -> Probe {
        Probe { newest, oldest, objects, has_more }
    }

    #[test]
    fn a_list_of_one_page_is_known_exactly() {
        assert_eq!(sum(&[]), Estimate { objects: 0, is_exact: true });
        let one = [probe(100, 1, 42, false)];
        assert_eq!(sum(&one), Estimate { objects: 42, is_exact: true });
    }

    #[test]
    fn between_two_pages_the_mean_of_their_densities_counts() {
        // One object a second, then one in two seconds: about three in four between them.
        let probes = [probe(10_000, 9_900, 100, true), probe(5_900, 5_700, 100, false)];
        assert_eq!(sum(&probes), Estimate { objects: 200 + 3_000, is_exact: false });
    }
}
