//! Tests that need a separate process: such a test starts the test binary again, with itself as the
//! only test. An environment variable tells the new process to run the other part of the test.

use std::process::Command;

/// The full name of a test in the current module, for [`command`].
#[macro_export]
macro_rules! test_name {
    ($test:ident) => {
        concat!(module_path!(), "::", stringify!($test))
    };
}

/// A command that runs only this test. `wrapper` is the program that starts the test binary, with its
/// arguments; it may be empty.
pub fn command(wrapper: &[&str], test: &str) -> Command {
    let binary = std::env::current_exe().expect("the test binary has a path");
    let mut command = match wrapper {
        [] => Command::new(binary),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(binary);
            command
        }
    };
    // The test binary expects names without the crate's name.
    let (_, test) = test.split_once("::").expect("a name made by `test_name`");
    command.args([test, "--exact", "--nocapture"]);
    command
}
