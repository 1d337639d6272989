//! What packages make from the command line: the manual page and completion scripts.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::arguments::Arguments;
use crate::life::EXIT_FAILED;

/// Files of this daemon, after the page's section on its command line.
const FILES: &str = r#".SH FILES
.TP
/etc/slothd/slothd.toml, /etc/slothd/conf.d
Settings; /etc/slothd/slothd.toml shows every key with its default.
.TP
/etc/slothd/schedules.d
Schedules as files.
.TP
/var/lib/slothd
Database, output of runs, backups.
.TP
/run/slothd/slothd.sock
Where slothctl asks.
.PP
With \-\-user these are below $XDG_CONFIG_HOME/slothd, $XDG_STATE_HOME/slothd and $XDG_RUNTIME_DIR/slothd.
.SH SEE ALSO
.BR slothctl (1),
.BR sloth-exec (8),
.BR systemctl (1)
"#;

/// Writes `slothd.8` into a directory.
pub fn man(dir: &Path) -> ExitCode {
    done(write_man(dir))
}

fn write_man(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let page = clap_mangen::Man::new(Arguments::command().disable_help_subcommand(true)).section("8");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    page.render_subcommands_section(&mut text)?;
    page.render_extra_section(&mut text)?;
    text.extend_from_slice(FILES.as_bytes());
    std::fs::write(dir.join("slothd.8"), text)
}

/// Prints a completion script.
pub fn completion(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "slothd", &mut script);
    done(io::Write::write_all(&mut io::stdout(), &script))
}

fn done(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slothd: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
