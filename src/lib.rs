//! Subledger is an event-sourced subscription ledger for Stripe.
//!
//! It receives Stripe's webhooks, appends every verified event unchanged to a **log**, and folds the
//! log into a **read model** of current subscriptions that can be thrown away and made anew at any
//! time. This page is for those who change it: what the parts are, what must stay true, and how
//! three things happen from end to end. How to run it stands in the README.
//!
//! # Bird's eye
//!
//! ```text
//!             Stripe ──POST──▶ http/webhook ──▶ ingest ──▶ log            200 after the commit
//!                                                           │ positions 1, 2, 3, … in commit order
//!                                             projector ◀───┘
//!                                  (live: follows the log; rebuild: the whole log, a new generation)
//!                                                           │ pure fold, customer by customer
//!                                              read model ──┴──▶ http (reads), cli, audit
//! ```
//!
//! The log is the ledger: what Stripe said and when we heard it, in a database file of its own
//! (`subledger.db`), which only appends write. Everything else is a function of it. The read model is
//! in another file (`subledger.read.db`), so no lock is shared: a fold that is slow, broken or busy
//! with a rebuild never holds up an append. In PostgreSQL the two are schemas, and connections of their own
//! lead to each.
//!
//! # Code map
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`stripe`] | signatures, the event envelope, the shapes of Stripe's objects through the years |
//! | [`projection`] | the fold: a customer's state as a join, the order of a second, what is in doubt, the policy, rows, names |
//! | [`store`] | SQL and transactions: the log with its Merkle tree, the generations of the read model |
//! | [`ingest`] | the queue before the log, and group commit |
//! | [`projector`] | follows the log, makes generations anew, says what they change |
//! | [`tree`] | the Merkle tree over the log: its right edge, its proofs |
//! | [`proof`] | what others check without the log: keys, signed checkpoints, texts of proofs |
//! | [`erasure`] | erasing what events said, in the log, the read models and the files, and the record of it |
//! | [`audit`] | histories in words, explanations, verification, proofs |
//! | [`http`] | the webhook, the reads, health and metrics |
//! | [`publisher`] | checkpoints that leave the machine while the service runs |
//! | [`cli`] | one command, one file; `demo` shows it all |
//! | [`simulate`] | a Stripe of our own: whole lives of subscriptions as events, with the truth known |
//!
//! [`log_output`] writes the program's own log without ever holding anybody up. [`config`] is what a ledger is started with, [`service`] starts and stops the whole in the right
//! order, and [`exchange`] is the form in which events leave a ledger and enter another. [`ids`] and
//! [`time`] are the words that all rooms share; [`clock`] is the only place that reads a clock; `visible` makes text
//! safe to show. `migrations/` holds the log's tables, which are only ever added to. `projections/` holds
//! the read model's tables and the policy, which are edited freely, because a rebuild makes them
//! anew.
//!
//! # Invariants
//!
//! 1. **The log holds only what Stripe said and when we heard it.** Exact bytes, appended once.
//!    Whatever is inferred (which customer, which user, which status) is a projection. Triggers in
//!    the database hold this against every program, not only ours.
//! 2. **200 means durable.** It is sent after the commit that holds the event has reached the disk:
//!    never before, and never withheld because a fold failed.
//! 3. **A read model is a function of the *set* of log rows**, not of their order. Any permutation,
//!    duplication or batching, live or rebuilt, gives the same rows byte for byte. That holds because
//!    a customer's state is a join, and because rivals of one second are ordered by one procedure
//!    over the whole set ([`projection::order`]), never pairwise.
//! 4. **Stripe is read by shape, not by version.** An unknown type, status or field is kept and is
//!    never an error.
//! 5. **No clock and no I/O in `stripe` and `projection`.** Time comes in as a value; clippy bans the
//!    clocks everywhere but in [`clock`].
//! 6. **No sqlx type leaves `store`**, nor does anything else know which database it is: inside, each verb
//!    stands once, over connections of either kind, and a statement that the two say differently has two
//!    texts. And `store` knows the columns of a row and no rule
//!    about subscriptions.
//! 7. **Nothing that follows the log can reach an append.** A verified event whose fold fails is in
//!    the log, was answered 200, and is *parked*: listed with its reason and folded by the next
//!    rebuild.
//! 8. **What proves the log does not rest on what makes proofs quick.** The kept hashes of subtrees say
//!    nothing that the events do not; a proof is held against the root before it is handed out.
//! 9. **Modes and accounts do not leak.** Test events and connected accounts are kept, and grant
//!    nothing unless somebody asks for them by name.
//! 10. **Silence is not "no".** A log that does not hold what the read model was made from is refused, and
//!     the read model stays ([`projector::find_lost_log`]).
//! 11. **"Ready" means that things move.** `/readyz` measures what was stored and folded lately. Nothing waits
//!     for a database, a disk or a client without a limit, a log line is dropped before it delays anything
//!     ([`log_output`]), and a task that ends by itself ends the process.
//! 12. **No stored time is believed.** Whether a lease is over is seen by watching it, because the clock that
//!     wrote its end may have been ahead.
//! 13. **Damage stays where it is.** An event that cannot be read is named, parked and gone around; a damaged
//!     read model is made again from the log.
//!
//! # An event arrives
//!
//! [`http`]'s webhook handler judges the form and the age of the signature header before it reads the
//! body, and takes the raw bytes; nothing may parse them before the signature is checked.
//! [`stripe::Verifier`] tries every `v1` of the header against every configured secret in
//! constant time. From then on the connection is *verified*: where connections or memory run short, those
//! that are not give way. [`stripe::Envelope`] reads id, type, account, mode and time, and
//! one of the secrets that fitted must be [bound](stripe::Binding) to such events.
//! The event goes to [`ingest`], which puts it into a bounded queue and waits. One writer takes
//! whatever has arrived while the last commit ran, and appends it in one transaction: it reads the
//! head, leaves out what the log has already (a redelivery is counted), gives each event the next
//! position and a `received_at` that rises, adds its leaf to the Merkle tree, inserts all of them in
//! a few statements, moves the head, and commits with `synchronous=FULL`. Then all of the waiting
//! requests are answered: one fsync, many answers, no timer. If the commit fails, all of them get
//! 503 and nothing is written; Stripe tries again. The commit wakes the [`projector`], which reads the
//! new positions, [observes](projection::observe) each event, [joins](projection::state) it into its
//! customer's state, computes that customer's [rows](projection::rows), and writes states, rows,
//! timeline, names and checkpoint in one transaction.
//!
//! What names no customer (a refund, a dispute, the payment of an invoice) changes no row. It stands on
//! the timeline under its charge, payment intent and invoice, and *links*, taken from every event that
//! names such an object and a customer, or two such objects, lead from there to whose it is when a
//! timeline is read; so it does not matter which of them arrived first. Products and prices are named
//! by the *catalogue*, which the view joins. Where to look for the subscriptions of a price, a product or a
//! lookup key, whichever item it is of, the *properties of items* say; entries are only added, and the row
//! decides.
//!
//! # Somebody asks for access
//!
//! [`store::ReadModel::access`] answers in one statement, which sees one moment: the latest end that the policy
//! grants among *all* subscriptions of the user that have the item, and a page of them. Whether access is granted
//! follows from that end and the instant of asking. Nothing that is cut off at a number of rows decides it.
//!
//! # A rebuild runs
//!
//! The policy was changed, or the fold was. [`projector::rebuild`] makes a new **generation**: the read
//! model's tables under a new number, with the policy stored beside them, because whoever folds a
//! generation must use its own. It takes the generation's lease and folds the log in memory, in chunks
//! that all processors take turns at: joining is commutative, so no chunk waits for another. What grows
//! with the events (timelines, links) is written from time to time, what grows with the customers (states,
//! rows) once at the end, in the order of the tables and under the lease's token; then the checkpoint is
//! set. What arrived meanwhile is folded batch by batch, as a follower does it. Ingest does not notice.
//! When it has caught up, it is put beside the live one in one read transaction, and SQL counts and finds
//! what differs: who loses access and who gains it, by which fields. A dry run ends here and drops what
//! it made. Otherwise the indexes are made, and one transaction points the view `current_subscriptions`
//! at the new tables; readers before it saw the old rows, readers after it see the new ones, and nobody
//! sees half of them. The former generation is kept, and [`projector::activate`] goes back to it in one
//! transaction as well. A crash on the way leaves the live generation as it was.
//!
//! # Someone doubts the log
//!
//! Every append moves the root of the [tree] in its own transaction, and writes the hashes of the subtrees
//! of 2^8, 2^16 and 2^24 events that it completes. [`proof`] signs size and root as a checkpoint, which the
//! [`publisher`] takes away from the machine. Later, [`audit::prove_inclusion`] asks [`tree::inclusion`] of
//! which ranges of leaves the hashes are needed, and the log for those hashes: each is a kept one, or made
//! of at most 256 rows of the level below. Whoever checks computes the leaf from the record, the root from
//! leaf and hashes, and compares it with the signed one; no ledger is needed for that. [`audit::verify_against`]
//! looks at every event by itself on all processors (bytes, record, signature, what it says), and takes them into
//! the tree and a fresh fold in the order of the log; on its way it compares the roots that were signed, and at the
//! end the rows. Beside that [`store::Log::inspect`] and [`store::ReadModel::inspect`] let each database check itself, and
//! compare the triggers with those that the migrations make.
//!
//! # Someone asks for a history
//!
//! [`audit::history`] asks the read model's timeline which positions are about the subject, for a user
//! over every customer that is linked to it, and reads those events from the log. They are put into
//! [canonical order](projection::canonical): by Stripe's second, within a second as the fold would
//! order them. Then they are folded one by one from nothing, and after each the rows are compared with
//! the rows before: that is what the event changed. Because the fold depends on the set alone, the
//! last state is the current row. Two clocks can be turned back: `as_of` leaves out what had not
//! happened by then, `known_at` what had not reached us.
//!
//! An [`audit::HistoryStream`] does this some seconds at a time, for a story of any length: of each event it keeps
//! where it is and when it was, and of the customers the states that are folded on. A second is never
//! split, because its order needs all of it. What is in doubt may show later than it arose, so a story of
//! several pieces is folded to its end before it is told.
//!
//! [`audit::explain`] tells the same story and looks, for each field of one row, for the last event that
//! changed it. Where in the event the value stands is known from [`stripe::json_paths`], which lists what the
//! readers read, and is looked up and compared before it is said. What the policy decided comes with
//! its [judgement](projection::entitlement::judge), and with the line of the policy's text.

pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod erasure;
pub mod exchange;
pub mod guide;
pub mod http;
pub mod ids;
pub mod ingest;
pub mod log_output;
pub mod projection;
pub mod projector;
pub mod proof;
pub mod publisher;
pub mod service;
pub mod simulate;
pub mod store;
pub mod stripe;
mod suggest;
pub mod time;
pub mod tree;
pub mod view;
mod visible;
