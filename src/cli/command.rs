//! Command line for clap: shows each setting only at the commands that use it, and ignores empty variables.

use clap::builder::Resettable;
use clap::{Arg, Command, CommandFactory as _};

use super::Cli;

// Every command accepts all settings, so that they may come before its name. Its help shows those that it uses.
const DATABASE: &str = "database";
const MODE: &str = "mode";
const USER_KEYS: &str = "user_keys";
const POLICY: &str = "policy";

/// Place of the settings in the help of a command: after its own flags.
const SETTINGS_ORDER: usize = 500;

/// Builds the command line.
pub(super) fn command() -> Command {
    let command = without_empty_variables(Cli::command());
    let settings = command.get_arguments().filter(|it| it.is_global_set()).cloned();
    let settings: Vec<Arg> = settings.collect();
    show_settings(command, &settings, "")
}

/// Settings that a command uses.
fn used_by(command: &str) -> &'static [&'static str] {
    match command {
        "serve" | "erase" | "backfill" | "reconcile" => &[DATABASE, MODE, USER_KEYS, POLICY],
        "current" | "coverage" | "compare" | "users import" | "history" | "explain" | "event"
        | "import" | "log prove" => &[DATABASE, MODE],
        "rebuild" | "policy explain" => &[DATABASE, USER_KEYS, POLICY],
        "backup"
        | "verify"
        | "export"
        | "projections"
        | "projections list"
        | "projections activate"
        | "projections drop"
        | "log checkpoint"
        | "log consistency"
        | "policy check" => &[DATABASE],
        "policy show" => &[DATABASE, POLICY],
        "stripe check" | "stripe endpoint create" => &[MODE],
        _ => &[],
    }
}

/// Adds the settings to each subcommand, and hides those that it does not use.
fn show_settings(command: Command, settings: &[Arg], path: &str) -> Command {
    command.mut_subcommands(|subcommand| {
        let path = format!("{path} {}", subcommand.get_name());
        let used = used_by(path.trim_start());
        let own = settings.iter().zip(SETTINGS_ORDER..).map(|(setting, order)| {
            let is_used = used.contains(&setting.get_id().as_str());
            setting.clone().hide(!is_used).display_order(order)
        });
        show_settings(subcommand.args(own), settings, &path)
    })
}

/// Ignores empty variables, because `X= subledger …` is how a shell unsets one.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|it| it.to_string_lossy().trim().is_empty())
    };
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each<'c>(command: &'c Command, path: &str, commands: &mut Vec<(String, &'c Command)>) {
        for subcommand in command.get_subcommands() {
            let path = format!("{path} {}", subcommand.get_name()).trim_start().to_owned();
            each(subcommand, &path, commands);
            commands.push((path, subcommand));
        }
    }

    #[test]
    fn the_command_line_is_consistent_and_every_rule_names_a_command() {
        command().debug_assert();
        let command = command();
        let mut commands = Vec::new();
        each(&command, "", &mut commands);
        let with_settings = commands.iter().filter(|(path, _)| !used_by(path).is_empty()).count();
        assert_eq!(with_settings, 28, "{:?}", commands.iter().map(|it| &it.0).collect::<Vec<_>>());
        for (path, command) in commands {
            let shown =
                command.get_arguments().filter(|it| it.is_global_set() && !it.is_hide_set());
            let mut shown: Vec<_> = shown.map(|it| it.get_id().as_str()).collect();
            let mut used = used_by(&path).to_vec();
            shown.sort_unstable();
            used.sort_unstable();
            assert_eq!(shown, used, "{path}");
        }
    }
}
