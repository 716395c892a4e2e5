//! What people type who come from Ultralytics, timm or torchvision, and what to type here instead.

mod table;

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use table::{FLAGS, Habit, VERBS, WORDS};

/// An error of clap with the answer to a habit, if one was what it is about.
pub(crate) fn answered(error: clap::Error, command: &Command, typed: &[OsString]) -> clap::Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let new = match error.kind() {
        ErrorKind::UnknownArgument => context(ContextKind::InvalidArg).and_then(|found| {
            if !found.starts_with('-') {
                return words(command, typed).or_else(|| value_of_switch(&found, command, typed));
            }
            let answer = flag(&found, verb_of(command, typed));
            answer.map(|answer| format!("unexpected argument '{}': {answer}", shown(&found)))
        }),
        ErrorKind::InvalidSubcommand => context(ContextKind::InvalidSubcommand).and_then(|found| {
            let answer = answers(VERBS, &found).next()?;
            Some(format!("unrecognized subcommand '{found}': {answer}"))
        }),
        ErrorKind::MissingRequiredArgument => words(command, typed).or_else(|| any_folder(typed)),
        _ => None,
    };
    new.map_or(error, |text| raw(ErrorKind::UnknownArgument, &text))
}

/// The error for words such as `data=photos`, the first of which was taken for the data themselves.
pub(crate) fn refused_word(command: &Command, typed: &[OsString], data: &str) -> Option<clap::Error> {
    word(data, command, typed)?;
    words(command, typed).map(|text| raw(ErrorKind::UnknownArgument, &text))
}

/// A usage error of this text.
fn raw(kind: ErrorKind, text: &str) -> clap::Error {
    clap::Error::raw(kind, format!("{text}\n\nFor more information, try '--help'.\n"))
}

/// What was typed up to its value, which may be anything.
fn shown(found: &str) -> &str {
    found.split_once('=').map_or(found, |(name, _)| name)
}

/// The verb that was typed.
fn verb_of<'c>(command: &'c Command, typed: &[OsString]) -> Option<&'c Command> {
    command.find_subcommand(typed.get(1)?)
}

/// The answer to an option that was given to a verb, if it helps there.
fn flag(found: &str, verb: Option<&Command>) -> Option<&'static str> {
    fitting(FLAGS, found, verb)
}

/// Whether a verb has the options that an answer names; one that names a verb of its own is about that.
fn fits(answer: &str, verb: &Command) -> bool {
    let has = |name: &str| verb.get_arguments().any(|option| option.get_long() == Some(name));
    answer.contains("'oculist ") || named(answer).all(|name| name == "quiet" || has(name))
}

/// The options that an answer names, without their hyphens.
fn named(answer: &str) -> impl Iterator<Item = &str> {
    let words = answer.split(['\'', ' ']).filter_map(|word| word.strip_prefix("--"));
    words.map(|word| word.trim_end_matches([',', ';', '.', ':']))
}

/// The answer to `name=value`, unless a file is called so.
fn word(found: &str, command: &Command, typed: &[OsString]) -> Option<String> {
    let (name, _) = found.split_once('=')?;
    if Path::new(found).exists() {
        return None;
    }
    let (option, verb) = (normal(name), verb_of(command, typed));
    if let Some(answer) = fitting(WORDS, name, verb) {
        return Some(answer.to_owned());
    }
    let known = verb.is_some_and(|verb| verb.get_arguments().any(|a| a.get_long() == Some(option.as_str())));
    if known {
        return Some(format!("here '--{option} VALUE'"));
    }
    flag(name, verb).map(str::to_owned)
}

/// The error for all `name=value` of what was typed that are habits.
fn words(command: &Command, typed: &[OsString]) -> Option<String> {
    let words = typed.iter().skip(2).filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-'));
    let answers: Vec<String> = words
        .filter_map(|found| Some(format!("  {}=: {}", shown(found), word(found, command, typed)?)))
        .collect();
    (!answers.is_empty())
        .then(|| format!("unexpected arguments: options begin with two hyphens\n\n{}", answers.join("\n")))
}

/// The error for a value that was given to an option that takes none, as `--resume last.pth` for timm.
fn value_of_switch(found: &str, command: &Command, typed: &[OsString]) -> Option<String> {
    let verb = verb_of(command, typed)?;
    let at = typed.iter().position(|word| word.to_str() == Some(found))?;
    let before = typed.get(at.checked_sub(1)?)?.to_str()?.strip_prefix("--")?;
    let switch = verb.get_arguments().find(|arg| arg.get_long() == Some(before))?;
    let takes_none = switch.get_num_args().is_none_or(|range| !range.takes_values());
    let more = if before == "resume" {
        ", it continues the run that is in the folder of '--output <DIR>'"
    } else {
        ""
    };
    takes_none.then(|| format!("unexpected argument behind '--{before}': it takes no value{more}"))
}

/// The error for a folder of images that was given with timm's option, which here is for data sets that have a name.
fn any_folder(typed: &[OsString]) -> Option<String> {
    let given =
        |word: &OsString| word.to_str().is_some_and(|w| w == "--data-dir" || w.starts_with("--data-dir="));
    typed.iter().any(given).then(|| {
        "the required argument <DATA> was not provided: '--data-dir <DIR>' says where a data set lies that has a name; type a \
         folder of your own behind the verb, as in 'oculist optimize photos/'"
            .to_owned()
    })
}

/// The first answer to what was typed that helps with a verb.
fn fitting(habits: &'static [Habit], typed: &str, verb: Option<&Command>) -> Option<&'static str> {
    answers(habits, typed).find(|answer| verb.is_none_or(|verb| fits(answer, verb)))
}

/// All answers to what was typed; where a name has several, each is for other verbs.
fn answers(habits: &'static [Habit], typed: &str) -> impl Iterator<Item = &'static str> {
    let name = normal(shown(typed));
    habits.iter().filter(move |(names, _)| names.contains(&name.as_str())).map(|(_, answer)| *answer)
}

/// A name as the tables have it.
fn normal(name: &str) -> String {
    name.trim_start_matches('-').to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::args::command;

    /// Every option of every verb, without its hyphens.
    fn options(command: &Command) -> BTreeSet<String> {
        let own = command.get_arguments().filter_map(|o| o.get_long().map(str::to_owned));
        own.chain(command.get_subcommands().flat_map(options)).collect()
    }

    #[test]
    fn answers_name_options_and_verbs_that_exist() {
        let (command, mut all) = (command(), BTreeSet::new());
        let options = options(&command);
        for (names, answer) in FLAGS.iter().chain(WORDS) {
            for name in *names {
                assert_eq!(*name, normal(name));
            }
            for word in named(answer) {
                assert!(options.contains(word) || word == "quiet", "--{word}, in: {answer}");
            }
        }
        for (_, answer) in FLAGS.iter().chain(WORDS).chain(VERBS) {
            for verb in answer.split("'oculist ").skip(1).filter_map(|rest| rest.split([' ', '\'']).next()) {
                assert!(command.find_subcommand(verb).is_some(), "{verb}, in: {answer}");
            }
        }
        for (names, _) in FLAGS {
            for name in *names {
                assert!(all.insert(*name), "{name} stands twice");
                // An option of one verb alone may be a habit elsewhere.
                let everywhere = command
                    .find_subcommand("train")
                    .is_some_and(|train| train.get_arguments().any(|o| o.get_long() == Some(name)));
                assert!(!everywhere, "--{name} is an option of ours");
            }
        }
        for (names, _) in VERBS {
            assert!(names.iter().all(|name| command.find_subcommand(name).is_none()), "{names:?}");
        }
    }

    #[test]
    fn an_answer_names_no_option_that_the_verb_lacks() {
        let command = command();
        let said = |line: &str| {
            let typed: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let error = command.clone().try_get_matches_from(&typed).expect_err(line);
            answered(error, &command, &typed).to_string()
        };
        assert!(said("oculist train photos --batch 8").contains("'--batch-size <N>'"));
        for line in
            ["oculist predict x.png --model m.onnx --batch 8", "oculist eval demo --model m.onnx --project x"]
        {
            let text = said(line);
            assert!(!text.contains("--batch-size") && !text.contains("--output"), "{text}");
            assert!(text.contains("unexpected argument"), "{text}");
        }
        assert!(said("oculist train demo task=classify").contains("--task multi-label"));
    }

    #[test]
    fn every_setting_has_an_option_of_its_name() {
        let (command, options) = (command(), options(&command()));
        for name in oculist::Settings::NAMES {
            assert!(*name == "data" || options.contains(&name.replace('_', "-")), "{name} has no option");
        }
        let optimize = command.find_subcommand("optimize").expect("the main verb");
        let long: BTreeSet<&str> = optimize.get_arguments().filter_map(clap::Arg::get_long).collect();
        let missing: Vec<_> = oculist::Settings::NAMES
            .iter()
            .filter(|n| !long.contains(n.replace('_', "-").as_str()))
            .collect();
        assert_eq!(missing, [&"data"], "what a file may set can be typed");
    }

    #[test]
    fn the_short_help_shows_ten_options_and_the_long_one_all_in_groups() {
        for (verb, first) in crate::args::help::FIRST {
            let mut command = command();
            command.build();
            let verb = command.find_subcommand_mut(verb).expect("a verb");
            let short = verb.render_help().to_string();
            let long = verb.render_long_help().to_string();
            let listed = |text: &str| {
                let line = |l: &str| {
                    // Descriptions, which may go on with an option, stand further to the right.
                    let l = l.strip_prefix("      ").or_else(|| l.strip_prefix("  "))?;
                    let name = l.strip_prefix("--").or_else(|| l.split_once(", --").map(|(_, rest)| rest))?;
                    let name: String =
                        name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                    l.starts_with('-').then_some(name)
                };
                text.lines().filter_map(line).collect::<BTreeSet<_>>()
            };
            let expected: BTreeSet<String> = first
                .iter()
                .map(|name| name.replace('_', "-"))
                .chain(["help".to_owned(), "quiet".to_owned()])
                .collect();
            assert_eq!(listed(&short), expected, "{short}");
            assert!(short.contains("--help") && short.contains("ten options"), "{short}");
            for option in verb.get_arguments().filter(|o| !o.is_hide_set()).filter_map(clap::Arg::get_long) {
                assert!(listed(&long).contains(option), "--{option} is not in: {long}");
            }
            assert!(!long.contains("ten options"), "{long}");
        }
        let mut command = command();
        command.build();
        let long = command.find_subcommand_mut("optimize").expect("a verb").render_long_help().to_string();
        for heading in ["Data:", "Model:", "Training:", "Compression:", "Output:", "Run:"] {
            assert!(long.lines().any(|line| line == heading), "{heading}");
        }
    }
}
