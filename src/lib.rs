//! Subledger is an event-sourced subscription ledger for Stripe.
//!
//! It receives Stripe's webhooks, appends every verified event unchanged to a **log**, and folds the log into a **read
//! model** of current subscriptions that can be rebuilt from the log at any time. This page is for developers: the
//! modules, the invariants, and the path of an event, a read, a rebuild and a check through the code. The [`guide`] is
//! for users. Recipes for common changes are in `.github/CONTRIBUTING.md`.
//!
//! # Overview
//!
//! ```text
//!             Stripe ──POST──▶ http/webhook ──▶ ingest ──▶ log            200 after the commit
//!                                                           │ positions 1, 2, 3, … in commit order
//!                                             projector ◀───┘
//!                            (live: follows the log; rebuild: makes a new generation, from the states or the log)
//!                                                           │ pure fold, customer by customer
//!                                              read model ──┴──▶ http (reads), cli, audit
//! ```
//!
//! The log is the ledger: what Stripe sent and when it arrived, in a database file of its own (`subledger.db`) that
//! only appends write. The read model is in another file (`subledger.read.db`), so the two share no lock: a fold that
//! is slow, broken or busy with a rebuild never holds up an append. In PostgreSQL they are two schemas with separate
//! connections.
//!
//! # Modules
//!
//! | module | contents |
//! | --- | --- |
//! | [`stripe`] | signatures, the event envelope, the shapes of Stripe's objects in all API versions |
//! | [`projection`] | the fold: state of a customer, order within a second, ambiguity, policy, rows |
//! | [`store`] | SQL and transactions: the log with its Merkle tree, the generations of the read model |
//! | [`ingest`] | the queue before the log, and group commit |
//! | [`projector`] | follows the log, rebuilds generations, compares them |
//! | [`tree`] | the Merkle tree over the log: frontier and proofs |
//! | [`proof`] | formats that others check without the log: keys, signed checkpoints, proofs |
//! | [`erasure`] | erases the content of events in the log, the read models and the files, and records that |
//! | [`audit`] | histories, explanations, verification, proofs |
//! | [`http`] | webhook, API, health and metrics |
//! | [`view`] | what the API and the command line show |
//! | [`publisher`] | publishes signed checkpoints while the service runs |
//! | [`backfill`] | reads Stripe's API list by list, and appends what says something new, as *observations* |
//! | [`reconcile`] | compares Stripe's current state with the ledger, and names the reason of each difference |
//! | [`coverage`] | from when to when an account is known to be complete, and the gaps |
//! | [`sync`] | lists Stripe's events while the service runs, and appends what no webhook delivered |
//! | [`lease`] | leases of tasks that one process of several does at a time |
//! | [`cli`] | the commands, one file each |
//! | [`simulate`] | simulator of Stripe: events of whole subscription lives, and their expected final state |
//! | [`service`] | starts and stops the running service in the right order |
//! | [`config`] | settings |
//! | [`stripe_api`] | client of Stripe's API: keys, rate, repetitions, lists, webhook endpoints |
//! | [`http_client`] | builder of HTTP clients, with TLS |
//! | [`exchange`] | JSON form of an event for export and import |
//! | [`log_output`] | output of the program's own log, which never blocks |
//! | [`ids`], [`time`], [`clock`] | types that all modules share; only [`clock`] reads a clock |
//!
//! `migrations/` holds the tables of the log, to which migrations are only added. `projections/` holds the tables of
//! the fold layer and of each read model, and the policy, which may be edited freely, because a rebuild creates the tables
//! again. A read model is a folder there, a module that implements [`projection::read_model::Projection`], and a line in
//! [`projection::read_model::PROJECTIONS`]; everything else follows from the description of its tables.
//!
//! # Invariants
//!
//! 1. **The log holds only what Stripe sent or showed, and when it arrived**: exact bytes, appended once. Whatever is
//!    inferred (customer, user, status) is a projection. Triggers in the database enforce this against every program.
//!    The ledger's own records, of erasures and of links to users, have a source of their own and say who made them.
//! 2. **200 means durable.** It is sent after the commit that holds the event has reached the disk: never before, and
//!    never withheld because a fold failed.
//! 3. **A read model is a function of the *set* of log rows.** Any permutation, duplication or batching, live or
//!    rebuilt, gives the same rows byte for byte, because a customer's state is a join, and rivals of one second are
//!    ordered by one procedure over the whole set ([`projection::order`]), never pairwise.
//! 4. **Stripe is read by shape, not by version.** An unknown type, status or field is kept and is never an error.
//! 5. **No clock and no I/O in `stripe` and `projection`.** Time comes in as a value. Clippy bans the clocks everywhere
//!    but in [`clock`].
//! 6. **No sqlx type leaves `store`**, and nothing else knows which database it is. Inside, each verb stands once, over
//!    connections of either kind; only a statement that differs has two texts. `store` knows the columns of a row and
//!    no rule about subscriptions.
//! 7. **Nothing that follows the log can reach an append.** A verified event whose fold fails is in the log, was
//!    answered 200, and is *parked*: listed with its reason, and folded by the next rebuild.
//! 8. **Proofs do not rest on the stored hashes of subtrees**, which only make proofs fast. A proof is checked against
//!    the root before it is handed out.
//! 9. **Modes and accounts do not leak.** Test events and connected accounts are stored, and grant nothing unless asked
//!    for by name.
//! 10. **Silence is not "no".** A log that lacks events of the read model is refused, and the read model stays
//!     ([`projector::find_lost_log`]).
//! 11. **"Ready" means that things move.** `/readyz` measures what was stored and folded lately. Nothing waits for a
//!     database, a disk or a client without a limit, and a task that ends by itself ends the process.
//! 12. **No stored time is trusted.** Whether a lease has expired is found by watching it, because the clock that wrote
//!     its end may have been ahead.
//! 13. **Damage stays where it is.** An event that cannot be read is named, parked and skipped. A damaged read model is
//!     rebuilt from the log.
//!
//! # An event arrives
//!
//! The webhook handler in [`http`] checks form and age of the signature header before it reads the body. It takes the
//! raw bytes: nothing may parse them before the signature is checked. [`stripe::Verifier`] tries every `v1` of the
//! header against every configured secret in constant time. From then on the connection counts as verified: where
//! connections or memory run short, unverified ones give way. [`stripe::Envelope`] reads id, type, account, mode and
//! time. One of the matching secrets must be [bound](stripe::Binding) to such events.
//!
//! [`ingest`] puts the event into a bounded queue. One writer takes everything that arrived during the last commit and
//! appends it in one transaction: it reads the head, leaves out what the log already has (a redelivery is counted),
//! gives each event the next position and a rising `received_at`, adds its leaf to the Merkle tree, inserts all of them
//! in a few statements, advances the head, and commits with `synchronous=FULL`. Then all waiting requests are answered:
//! one fsync, many answers, no timer. If the commit fails, all get 503 and nothing is written; Stripe sends the events
//! again.
//!
//! The commit wakes the [`projector`]. It reads the new positions, [observes](projection::observe) each event, joins it
//! into the [state](projection::state) of its customer, computes the customer's [rows](projection::rows), and writes
//! states, rows, timeline, names and checkpoint in one transaction.
//!
//! An event that names no customer (a refund, a dispute, the payment of an invoice) changes no row. It is on the
//! timeline of its charge, payment intent and invoice. *Links*, from every event that names such an object and a
//! customer, or two such objects, lead from there to the customer when a timeline is read, so their order of arrival
//! does not matter. The *catalogue* has the names of products and prices, which the view joins. The *properties of
//! items* lead to the subscriptions of a price, a product or a lookup key; entries are only added, and the row decides.
//!
//! # Stripe's API is asked
//!
//! A [`backfill`] reads what no webhook delivered with [`stripe_api`], list by list. Two kinds of evidence come of it,
//! both with the source `api`. *Events* of the last 30 days have the identity of a webhook's: whichever comes first is
//! kept, the other is a redelivery. Any other object becomes an [observation](stripe::observation): an event of the
//! ledger around the exact bytes of the object, with the request that showed it.
//!
//! While the service runs, a [`sync`] lists the events since the last one every five minutes, in windows that overlap,
//! and skips by their ids those that the log has. What is left was not delivered. The end of each window is stored with
//! the number of missed deliveries, in one transaction and under the token of the [`lease`] of the account and mode, so
//! several processes, and a backfill beside them, do not count twice.
//!
//! An observation is appended only if it says something new. For that it is read like an event, and its
//! [change](projection::effects) is compared with the folded state of its customer ([`projection::novelty`]), which
//! must have folded everything that was appended before. The position in each list is stored after each page, so an
//! interrupted run goes on there.
//!
//! `created` of an observation is the header `Date` less the duration of the request: the second in which the
//! request began, by Stripe's clock. Too early is safe and too late is not. An event that happened during the request
//! may or may not be contained in the answer; it counts as later, so nothing of it is lost. For the same reason an
//! observation ranks below every event of its second. It shows a state and not a turn, so it is no evidence of the
//! order of events: they are ordered as if there were none, and then a later observation replaces what they say.
//!
//! # Somebody asks for access
//!
//! The application asks [`store::ReadModel::user_access`]. The read model `user_access` has one row for each user, joined
//! from one part for each of the user's customers ([`projection::user_access`]). The parts of a customer are written
//! in the transaction of its subscriptions, and with them the rows of all users that gain or lose one. So the answer is one row,
//! whatever the number of subscriptions, and a subscription that moves to another user changes both rows at once.
//!
//! Requests about one holder are read in groups ([`store::AccessGroups`]): while a statement runs, the questions that
//! arrive wait, and one later statement answers all of them. So an answer is never older than its question.
//!
//! For people, [`store::ReadModel::access`] answers with the subscriptions, in one statement, which sees one state of the
//! database: the latest end that the policy grants among *all* subscriptions of the user that have the item, and a page of
//! them. In both, access follows from the end and the current time. No limit on rows decides it.
//!
//! If there is no subscription, the answer says whether that is known: a backfill must have read the account
//! ([`coverage`]). `CoverageWatch` has that in memory, so it costs the usual answer nothing.
//!
//! # A rebuild runs
//!
//! The policy or the fold was changed. [`projector::rebuild`] builds a new **generation**: the tables of the rows under a
//! new number, with the policy stored beside them, because whoever writes a generation must use its policy. It takes the
//! lease of the generation.
//!
//! If only the rules differ, the generation stands over the **fold layer** of the live one, and its rows are made from
//! the states of the customers, in pages and on all processors. A state knows no policy and no clock. States that change
//! meanwhile belong to events after the position that the layer had at the beginning; their customers get their rows
//! again afterwards. Rows that are joined over several customers are made last, in the order of their keys.
//!
//! A read model whose logic and tables are the same is not made again: the new generation **shares** its tables with the
//! live one. Only the live generation writes to shared tables. So a generation that becomes live continues from the
//! position of the one that was live before it, and no reader goes back in time.
//!
//! If the fold differs, the generation gets a layer of its own, and the log is folded in memory, in chunks that all
//! processors share: joining is commutative, so no chunk waits for another. What grows with the events (timelines, links) is written from time to
//! time, what grows with the customers (states, rows) once at the end, in the order of the tables and under the token
//! of the lease; then the checkpoint is set. While memory is over its limit, the customers go to a temporary file as a
//! run in the order of their keys, and a merge of the runs joins their partial states at the end. Events that arrived
//! meanwhile are folded batch by batch, as a follower does it.
//!
//! When it has caught up, it is compared with the live generation in one read transaction: SQL counts and lists the
//! differences, who loses and who gains access, and by which fields. A dry run ends here and drops the generation.
//! Otherwise the indexes are created, and one transaction points the view `current_subscriptions` at the new tables:
//! readers see the old rows or the new ones. The former generation is kept, and [`projector::activate`] goes back to it
//! in one transaction. A crash leaves the live generation as it was.
//!
//! # Somebody doubts the log
//!
//! Every append moves the root of the [tree] in its own transaction, and writes the hashes of the subtrees of 2^8, 2^16
//! and 2^24 events that it completes. [`proof`] signs size and root as a checkpoint, which the [`publisher`] publishes.
//! For a proof, [`audit::prove_inclusion`] asks [`tree::inclusion`] for the ranges of leaves whose hashes it needs, and
//! the log for those hashes: each is a stored one, or computed from at most 256 rows of the level below. A checker
//! computes the leaf from the record, and the root from leaf and hashes, and compares it with the signed root, without
//! a ledger.
//!
//! [`audit::verify_against`] checks every event by itself on all processors (bytes, record, signature, content), takes
//! the events into the tree and a fresh fold in the order of the log, and compares the signed roots on its way and the
//! rows at the end. [`store::Log::inspect`] and [`store::ReadModel::inspect`] let each database check itself, and
//! compare the triggers with those that the migrations create.
//!
//! # Somebody asks for a history
//!
//! [`audit::history`](fn@audit::history) asks the timeline of the read model for the positions of the subject's events,
//! for a user over every linked customer, and reads those events from the log. They are put into [canonical
//! order](projection::canonical): by Stripe's second, and within a second as the fold orders them. They are folded one
//! by one from nothing, and after each the rows are compared with the rows before: that is what the event changed.
//! Because the fold depends on the set alone, the last state is the current row. `as_of` leaves out what had not
//! happened by then, `known_at` what had not arrived.
//!
//! An [`audit::HistoryStream`] does this some seconds at a time, for a history of any length. It keeps position and
//! time of each event, and the folded states of the customers. A second is never split, because its order needs all of
//! it. Ambiguity may show later than it arose, so a history of several pieces is folded to its end before it is
//! written.
//!
//! [`audit::explain`](fn@audit::explain) computes the same history and finds, for each field of one row, the last event
//! that changed it. [`stripe::json_paths`] lists where the readers find each field; the value there is compared before
//! it is named. The policy's decision comes with its [rule](projection::entitlement::judge), and with the line of the
//! policy's text.

pub mod audit;
pub mod backfill;
pub mod cli;
pub mod clock;
pub mod config;
pub mod coverage;
pub mod erasure;
pub mod exchange;
pub mod guide;
pub mod http;
pub mod http_client;
pub mod ids;
pub mod ingest;
pub mod lease;
pub mod log_output;
pub mod projection;
pub mod projector;
pub mod proof;
pub mod publisher;
pub mod reconcile;
pub mod service;
pub mod simulate;
pub mod store;
pub mod stripe;
pub mod stripe_api;
mod suggest;
pub mod sync;
pub mod time;
pub mod tree;
pub mod view;
mod visible;
