//! A static library with sections, linked into a program in C.

use std::path::Path;
use std::process::Command;

use crate::program::Program;
use crate::report::{Report, list, text};
use crate::tools;

/// It ends when its input does.
const MAIN: &str = r#"
#include <stdbool.h>
#include <stdio.h>
bool gmr_test_plugin_install(void);
int main(void) {
    if (!gmr_test_plugin_install()) return 1;
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF);
    return 0;
}
"#;

/// A report of the program that is linked with these arguments before the library, and after it.
/// `None` if there is no compiler.
fn report_of(folder: &Path, before: &[&str], after: &[&str]) -> Option<Report> {
    let (source, program) = (folder.join("main.c"), folder.join("program"));
    std::fs::write(&source, MAIN).expect("the folder can be written to");
    // cargo builds it next to the tests.
    let tests = std::env::current_exe().expect("it has a path");
    let library = tests.with_file_name("libgmr_test_plugin.a");
    let mut compiler = Command::new("cc");
    compiler.arg("-o").arg(&program).arg(source).args(before).arg(library).args(after);
    let Ok(output) = compiler.args(["-lpthread", "-ldl", "-lm", "-lgcc_s"]).output() else {
        tools::missing("cc");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut program = Program::start(program);
    let report = program.report();
    assert!(program.end().0.success());
    Some(report)
}

/// In a build without optimization, each module is an object file of the archive.
#[test]
fn a_section_that_the_linker_drops_is_named_and_the_remedy_helps() {
    let folder = std::env::temp_dir().join(format!("gmr-linking-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let notes = |report: &Report| -> Vec<String> {
        list(&report.package()["notes"]).iter().map(|note| text(note).to_owned()).collect()
    };
    let whole = ["-Wl,--whole-archive"];
    let reports = report_of(&folder, &[], &[]).zip(report_of(&folder, &whole, &["-Wl,--no-whole-archive"]));
    std::fs::remove_dir_all(&folder).expect("it is there");
    let Some((dropped, whole)) = reports else { return };
    assert!(dropped.titles().contains(&"Referenced") && !dropped.titles().contains(&"Unreferenced"));
    let [note] = &notes(&dropped)[..] else { panic!("one note: {dropped}") };
    assert!(note.contains("unreferenced.rs") && note.contains("-Wl,--whole-archive"), "{note}");
    assert_eq!(whole.data("Unreferenced", "text"), "it is linked");
    assert_eq!(notes(&whole), [""; 0]);
}
