//! `policy`: rules that decide who has access.

use std::io::Write as _;
use std::path::PathBuf;

use super::Context;
use super::output::{line_width, stdout, wrap};
use super::report::{Exit, Failure, print_message};
use crate::projection::Logic;
use crate::projection::policy::{Policy, user_keys_sentence};
use crate::projector;
use crate::store::Generation;
use crate::visible::visible;

/// Greatest width of a sentence, in columns of a terminal.
const SENTENCE_WIDTH_MAX: usize = 80;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Print the policy: the file of `--policy`, or the built-in policy with its comments
    ///
    /// Checks the file first. Comments at the start list the keys that the file leaves out, with their built-in
    /// values. The output is a policy file: `subledger policy show > policy.toml` creates one to edit.
    Show {
        /// Print the policy of the live generation, exactly as it is stored
        #[arg(long)]
        live: bool,
    },
    /// Check a policy file, and list what differs from the policy of the live generation
    ///
    /// Prints a line for each key that differs, with the old and the new value. Without a read model the file is
    /// compared with the built-in policy. Exit status: 0 if the file is valid, 2 if it is not.
    Check {
        /// Policy file
        file: PathBuf,
    },
    /// Explain the rules in sentences: those of the live generation, or of a file
    ///
    /// Without a live generation the rules of `--policy` are explained, or the built-in ones.
    Explain {
        /// Policy file to explain instead
        file: Option<PathBuf>,
    },
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let text = match args.command {
        Command::Show { live: false } => context.settings.policy_text()?,
        Command::Show { live: true } => show_live(context).await?,
        Command::Check { file } => check(context, file).await?,
        Command::Explain { file } => explain(context, file).await?,
    };
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Exit::Done)
}

/// Stored text of the live policy. It is not completed: another text has another fingerprint, and `serve` would
/// rebuild.
async fn show_live(context: &Context) -> anyhow::Result<String> {
    let Some(Generation { id, logic, .. }) = find_live(context).await? else {
        return Err(Failure::no(
            "no generation is live",
            "`subledger rebuild` builds one; without `--live` the configured policy is shown",
        ));
    };
    print_message(&format!("generation {id} is live; its user keys: {}", logic.user_keys));
    Ok(logic.policy)
}

async fn check(context: &Context, file: PathBuf) -> anyhow::Result<String> {
    let name = file.display().to_string();
    let logic = context.settings.with_policy(file).logic()?;
    let (from, what) = match find_live(context).await? {
        Some(live) => {
            let what = format!("the policy of the live generation {}", live.id);
            (projector::logic_of(&live)?, what)
        }
        None => (Logic::default(), "the built-in policy, because no generation is live".to_owned()),
    };
    let changes = from.policy.changes_to(&logic.policy);
    let found = match changes.len() {
        0 if from.policy_text == logic.policy_text => "it is the same as".to_owned(),
        0 => "no key, but the text differs from".to_owned(),
        1 => "1 key differs from".to_owned(),
        keys => format!("{keys} keys differ from"),
    };
    print_message(&format!("{name} is valid; {found} {what}"));
    Ok(changes.iter().map(|change| visible(&change.to_string()).into_owned() + "\n").collect())
}

async fn explain(context: &Context, file: Option<PathBuf>) -> anyhow::Result<String> {
    let settings = &context.settings;
    if let Some(file) = file {
        let source = format!("the file {}", file.display());
        return Ok(sentences(&settings.with_policy(file).logic()?, &source));
    }
    if let Some(live) = find_live(context).await? {
        let source = format!("the live generation {}", live.id);
        return Ok(sentences(&projector::logic_of(&live)?, &source));
    }
    let source = settings.policy_path().map_or_else(
        || "the built-in policy".to_owned(),
        |path| format!("the file {}", path.display()),
    );
    let source = format!("{source}; no generation is live");
    Ok(sentences(&settings.logic()?, &source))
}

/// Rules as lines, each with the name of its key.
fn sentences(logic: &Logic, source: &str) -> String {
    let width = line_width().min(SENTENCE_WIDTH_MAX);
    let same = if Policy::default().changes_to(&logic.policy).is_empty() {
        " They are those of the built-in policy."
    } else {
        ""
    };
    let mut lines = wrap(&visible(&format!("Rules of {source}.{same}")), "", width);
    lines.push(String::new());
    let user_keys = ("user_keys", user_keys_sentence(&logic.user_keys));
    for (key, sentence) in logic.policy.sentences().into_iter().chain([user_keys]) {
        lines.extend(wrap(&visible(&format!("{key}: {sentence}")), "", width));
    }
    lines.push(String::new());
    lines.join("\n")
}

async fn find_live(context: &Context) -> anyhow::Result<Option<Generation>> {
    let url = context.settings.database_url()?;
    Ok(projector::find_live(&url, &context.clock).await?)
}
