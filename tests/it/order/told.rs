//! Small bodies of events, and the one place where a body is folded into what is known.

use std::collections::BTreeMap;

use subledger::ids::{CustomerKey, Position};
use subledger::projection::effects::{EventEffects, LoggedInput};
use subledger::projection::lazy_digest::LazyDigest;
use subledger::projection::observe::observe;
use subledger::projection::order::{Evidence, LifecyclePhase};
use subledger::projection::state::{CustomerState, StateChange};
use subledger::projection::user_link::UserLinkRecord;
use subledger::stripe::Envelope;
use subledger::stripe::observation::{self, GONE_SUFFIX, TYPE_PREFIX};

pub(crate) const CREATED: &str = "customer.subscription.created";
pub(crate) const UPDATED: &str = "customer.subscription.updated";
pub(crate) const DELETED: &str = "customer.subscription.deleted";

/// States of all customers.
pub(crate) type States = BTreeMap<CustomerKey, CustomerState>;

/// Folds a body into the state of the customer whom it names, if it names one.
pub(crate) fn tell(states: &mut States, body: &str) {
    if let Some((key, change)) = Observed::new(body).0 {
        states.entry(key).or_default().apply(change);
    }
}

/// Folds bodies one after the other.
pub(crate) fn tell_all<'a>(bodies: impl IntoIterator<Item = &'a str>) -> States {
    let mut states = States::new();
    bodies.into_iter().for_each(|body| tell(&mut states, body));
    states
}

/// Change of one event, which can be applied in many orders without its body being parsed again.
#[derive(Clone)]
pub(crate) struct Observed(Option<(CustomerKey, StateChange)>);

impl Observed {
    pub(crate) fn new(body: &str) -> Self {
        if UserLinkRecord::read(body).is_some() {
            return Self::of_link(body);
        }
        let observation = observe(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        Self(observation.customer.zip(observation.change))
    }
}

impl Observed {
    /// Change of a record of the ledger's own.
    fn of_link(body: &str) -> Self {
        let envelope = Envelope::parse(body).unwrap();
        let effects = EventEffects::read(&LoggedInput {
            position: Position(1),
            created: envelope.created,
            scope: &envelope.scope(),
            event_id: &envelope.id,
            event_type: &envelope.event_type,
            is_own_record: true,
            body: Some(body),
            damage: None,
        });
        Self(effects.customer.zip(effects.change))
    }
}

/// Applies changes one after the other.
pub(crate) fn apply_all<'a>(changes: impl IntoIterator<Item = &'a Observed>) -> States {
    let mut states = States::new();
    for (key, change) in changes.into_iter().filter_map(|it| it.0.as_ref()) {
        states.entry(key.clone()).or_default().apply(change.clone());
    }
    states
}

/// Evidence of an event's place in its second.
pub(crate) fn evidence(
    phase: LifecyclePhase,
    rank: u8,
    api_version: Option<&str>,
    object: &str,
    previous: &str,
) -> Evidence {
    Evidence {
        phase,
        rank,
        api_version: api_version.map(str::to_owned),
        digest: LazyDigest::from_object(object, Some(previous)),
    }
}

/// An event, of which a body can be made.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    id: String,
    event_type: String,
    created: i64,
    object: String,
    previous: String,
    api_version: Option<String>,
    account: Option<String>,
    livemode: bool,
    is_observation: bool,
}

impl Told {
    /// An event whose object is this JSON.
    pub(crate) fn new(id: &str, event_type: &str, created: i64, object: &str) -> Self {
        Self {
            id: id.to_owned(),
            event_type: event_type.to_owned(),
            created,
            object: object.to_owned(),
            previous: "null".to_owned(),
            api_version: None,
            account: None,
            livemode: true,
            is_observation: false,
        }
    }

    /// An object as Stripe's API showed it in this second.
    pub(crate) fn seen(id: &str, created: i64, object: &str) -> Self {
        Self::new(id, "", created, object).into_observation(false)
    }

    /// The object of this event as Stripe's API showed it in the same second, or as gone.
    pub(crate) fn into_observation(mut self, is_gone: bool) -> Self {
        let object: serde_json::Value = serde_json::from_str(&self.object).unwrap();
        let gone = if is_gone { GONE_SUFFIX } else { "" };
        if is_gone {
            let kept =
                ["id", "object", "customer"].map(|field| (field.to_owned(), object[field].clone()));
            let mut kept = serde_json::Map::from_iter(kept);
            kept.insert("status".to_owned(), "canceled".into());
            self.object = serde_json::Value::Object(kept).to_string();
        }
        self.event_type = format!("{TYPE_PREFIX}{}{gone}", object["object"].as_str().unwrap());
        self.is_observation = true;
        self.was("null")
    }

    /// An event about `sub_1` of `cus_1`.
    pub(crate) fn sub(id: &str, event_type: &str, created: i64, fields: &str) -> Self {
        let head = r#""id":"sub_1","object":"subscription","customer":"cus_1""#;
        Self::new(id, event_type, created, &format!("{{{head},{fields}}}"))
    }

    /// An event about the invoice `in_1` for `sub_1` of `cus_1`.
    pub(crate) fn invoice(id: &str, event_type: &str, created: i64, fields: &str) -> Self {
        let head = r#""id":"in_1","object":"invoice","customer":"cus_1","subscription":"sub_1""#;
        Self::new(id, event_type, created, &format!("{{{head},{fields}}}"))
    }

    /// The completion of the checkout that made `sub_1` for `cus_1`, bought by `user_1`.
    pub(crate) fn checkout(id: &str, created: i64) -> Self {
        let object = r#"{"id":"cs_1","object":"checkout.session","customer":"cus_1","mode":"subscription",
            "subscription":"sub_1","client_reference_id":"user_1","payment_status":"paid"}"#;
        Self::new(id, "checkout.session.completed", created, object)
    }

    /// The same event under another id.
    pub(crate) fn under(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// With these `previous_attributes`.
    pub(crate) fn was(mut self, previous: &str) -> Self {
        previous.clone_into(&mut self.previous);
        self
    }

    pub(crate) fn at_version(mut self, api_version: &str) -> Self {
        self.api_version = Some(api_version.to_owned());
        self
    }

    pub(crate) fn in_account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned()).filter(|account| !account.is_empty());
        self
    }

    pub(crate) fn in_mode(mut self, livemode: bool) -> Self {
        self.livemode = livemode;
        self
    }

    pub(crate) fn is_of_type(&self, event_type: &str) -> bool {
        self.event_type == event_type
    }

    pub(crate) fn body(&self) -> String {
        let Self { id, event_type, created, object, previous, livemode, .. } = self;
        let form = if self.is_observation { observation::OBJECT } else { "event" };
        let optional = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!(r#""{name}":"{value}","#)).unwrap_or_default()
        };
        let account = optional("account", &self.account);
        let version = optional("api_version", &self.api_version);
        format!(
            r#"{{"id":"{id}","object":"{form}","type":"{event_type}","created":{created},{account}{version}
            "livemode":{livemode},"data":{{"object":{object},"previous_attributes":{previous}}}}}"#
        )
    }
}
