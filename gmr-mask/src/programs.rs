//! What is known about the command lines of programs. It only holds data.
//!
//! Long flags are judged by their names, so that only short ones are listed, and those whose name
//! says nothing.

use super::index::Beginnings;

/// What a program's arguments mean.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) names: &'static [&'static str],
    /// Flags with a secret, which follows or is attached.
    pub(super) secrets: &'static [&'static str],
    /// Flags with a user and a password.
    pub(super) users: &'static [&'static str],
    /// Words, and which of the arguments after them is secret, counted from 1.
    pub(super) words: &'static [(&'static str, u8)],
}

const fn program(
    names: &'static [&'static str],
    secrets: &'static [&'static str],
    users: &'static [&'static str],
    words: &'static [(&'static str, u8)],
) -> Program {
    Program { names, secrets, users, words }
}

/// In the order of what they are for. A word that names a secret itself needs no row.
pub(super) const PROGRAMS: &[Program] = &[
    // Databases and queues
    program(
        &[
            "mysql",
            "mysqldump",
            "mysqladmin",
            "mysqlimport",
            "mysqlshow",
            "mysqlcheck",
            "mysqlpump",
            "mysqlslap",
            "mysqlbinlog",
            "mysqlsh",
            "mariadb",
            "mariadb-dump",
            "mariadb-admin",
            "mycli",
            "xtrabackup",
            "mydumper",
        ],
        &["-p"],
        &[],
        &[],
    ),
    program(
        &[
            "mongo",
            "mongosh",
            "mongodump",
            "mongorestore",
            "mongoexport",
            "mongoimport",
            "mongostat",
            "mongotop",
            "cqlsh",
            "nodetool",
            "arangosh",
            "neo4j-admin",
            "cypher-shell",
            "elasticsearch-users",
            "mqttui",
        ],
        &["-p"],
        &[],
        &[],
    ),
    program(&["sqlcmd", "bcp", "isql", "tsql", "osql"], &["-P"], &[], &[]),
    program(&["redis-cli", "valkey-cli", "keydb-cli", "redis-benchmark"], &["-a"], &[], &[]),
    program(&["sqlplus", "impdp", "expdp", "imp", "exp", "sqlldr", "rman", "sqlcl", "sql"], &[], &[], &[]),
    program(&["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"], &["-P"], &[], &[]),
    program(&["mosquitto_passwd"], &[], &[], &[("mosquitto_passwd", 3)]),
    program(&["rabbitmqctl"], &[], &[], &[("add_user", 2), ("change_password", 2), ("authenticate_user", 2)]),
    program(&["rabbitmqadmin"], &["-p"], &[], &[]),
    program(&["influx"], &["-t", "-p"], &[], &[]),
    program(&["clickhouse-client", "vertica", "vsql"], &["-w"], &[], &[]),
    // The web
    program(&["curl", "xh", "oha"], &[], &["-u", "-U"], &[]),
    program(&["http", "https", "hey", "autocannon"], &[], &["-a"], &[]),
    program(&["ab"], &[], &["-A", "-P"], &[]),
    program(
        &["htpasswd"],
        &[],
        &[],
        &[("-b", 3), ("-nb", 2), ("-nbB", 2), ("-bn", 2), ("-cb", 3), ("-bc", 3)],
    ),
    program(&["squid", "squidclient", "etcdctl"], &["-w", "-W"], &["-a", "-u"], &[]),
    program(&["lftp", "ncftp", "ncftpget", "ncftpput"], &["-p"], &["-u"], &[]),
    program(&["coap-client"], &["-k"], &[], &[]),
    // Remote access
    program(&["sshpass", "plink", "pscp", "psftp", "twine"], &["-p", "-pw"], &[], &[]),
    program(
        &["smbclient", "rpcclient", "net", "smbget", "smbmap", "winexe", "wmic"],
        &["-p"],
        &["-U", "-u"],
        &[("use", 3)],
    ),
    program(
        &["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldappasswd", "ldapwhoami", "ldapcompare"],
        &["-w", "-s", "-a"],
        &[],
        &[],
    ),
    program(
        &[
            "snmpget",
            "snmpwalk",
            "snmpset",
            "snmptrap",
            "snmpbulkwalk",
            "snmpbulkget",
            "snmpgetnext",
            "snmptable",
        ],
        &["-A", "-X", "-c"],
        &[],
        &[],
    ),
    program(&["xfreerdp", "rdesktop", "vncviewer", "remmina", "x11vnc"], &["-p", "/p:"], &[], &[]),
    program(&["ssh-keygen"], &["-N", "-P"], &[], &[]),
    program(&["ipmitool", "ipmi-power", "fence_ipmilan"], &["-P", "-p"], &[], &[]),
    program(
        &["hydra", "medusa", "ncrack", "crackmapexec", "evil-winrm", "kinit", "adcli"],
        &["-p", "-w"],
        &[],
        &[],
    ),
    program(&["iwconfig", "iw", "wpa_passphrase"], &[], &[], &[("key", 1), ("wpa_passphrase", 2)]),
    program(&["openconnect", "openvpn", "vpnc"], &[], &[], &[("--auth-user-pass", 2)]),
    // Containers and clouds
    program(
        &["docker", "podman", "nerdctl", "buildah", "skopeo", "crane", "oras", "helm", "oc", "az", "regctl"],
        &[],
        &[],
        &[],
    ),
    program(&["vault", "bao"], &[], &[], &[("login", 1), ("unseal", 1)]),
    program(&["cargo", "npm", "yarn", "pnpm", "gem", "poetry", "flyctl", "fly"], &[], &[], &[("login", 1)]),
    program(&["glab", "gh", "tea"], &["-t"], &[], &[("--body", 1)]),
    program(&["ngrok", "snyk", "railway"], &[], &[], &[("authtoken", 1), ("auth", 1)]),
    program(&["mc"], &[], &[], &[("set", 4), ("add", 4)]),
    program(&["wrangler", "fastly"], &[], &[], &[("put", 2)]),
    program(&["chamber"], &[], &[], &[("write", 3)]),
    program(&["doppler", "heroku", "netlify"], &["-t"], &[], &[]),
    program(&["bw"], &["--session"], &[], &[("login", 2), ("unlock", 1)]),
    program(&["op", "lpass"], &[], &[], &[("signin", 4)]),
    program(&["pass"], &[], &[], &[("insert", 2)]),
    program(&["consul", "nomad"], &["-t"], &[], &[]),
    // Files and accounts
    program(&["zip", "unzip", "zipcloak"], &["-P"], &[], &[]),
    program(&["7z", "7za", "7zr", "rar", "unrar"], &["-p", "-hp"], &[], &[]),
    program(&["openssl"], &["-k", "-K"], &[], &[]),
    program(&["useradd", "usermod", "groupadd", "adduser"], &["-p"], &[], &[]),
    program(
        &["cryptsetup", "gpg", "gpg2", "qpdf", "pdftk"],
        &[],
        &[],
        &[("user_pw", 1), ("owner_pw", 1), ("input_pw", 1)],
    ),
    program(&["passwd", "chpasswd", "grafana-cli"], &[], &[], &[]),
    program(&["asterisk", "hostapd_cli", "wpa_cli", "nmcli", "vncpasswd"], &[], &[], &[]),
];

/// Programs whose `-p` is no password: a path, a protocol, a process.
pub(super) const OTHER_P: &[&str] = &[
    "cp",
    "fuser",
    "install",
    "ip6tables",
    "iptables",
    "lsof",
    "mkdir",
    "mv",
    "nc",
    "netstat",
    "patch",
    "perf",
    "pgrep",
    "ps",
    "pstree",
    "rmdir",
    "scp",
    "ss",
    "ssh",
    "strace",
    "tar",
    "taskset",
    "touch",
    "umount",
];

/// Programs whose argument is `user/password@host`.
pub(super) const ORACLE: &[&str] =
    &["exp", "expdp", "imp", "impdp", "rman", "sql", "sqlcl", "sqlldr", "sqlplus"];

/// Which programs have a name that begins with this byte: a bit for each.
static BY_FIRST_BYTE: [u64; 128] = {
    let mut table = [0; 128];
    let mut row = 0;
    while row < PROGRAMS.len() {
        let mut at = 0;
        while at < PROGRAMS[row].names.len() {
            table[PROGRAMS[row].names[at].as_bytes()[0] as usize] |= 1 << row;
            at += 1;
        }
        row += 1;
    }
    table
};

/// With which two bytes the names of programs begin.
static BEGINNINGS: Beginnings = {
    let mut beginnings = Beginnings::of(&[]);
    let mut row = 0;
    while row < PROGRAMS.len() {
        beginnings = beginnings.and(PROGRAMS[row].names);
        row += 1;
    }
    beginnings
};

/// The program of this name: without its folder, and without what is appended to it
/// (`mysql-8.0`, `mysql.real`, `mysql.exe`).
pub(super) fn find(path: &str) -> Option<&'static Program> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or("");
    if !BEGINNINGS.begin(name.as_bytes()) {
        return None;
    }
    let mut rows = *BY_FIRST_BYTE.get(usize::from(*name.as_bytes().first()?))?;
    while rows != 0 {
        let program = &PROGRAMS[rows.trailing_zeros() as usize];
        if program.names.iter().any(|known| name.strip_prefix(known).is_some_and(is_appended)) {
            return Some(program);
        }
        rows &= rows - 1;
    }
    None
}

/// Whether this can follow the name of a program: nothing, a version, or what wrappers append.
fn is_appended(rest: &str) -> bool {
    const ENDS: &[&str] = &[".real", ".exe", ".bin", ".orig", "-wrapped"];
    let is_version = || {
        rest.len() < 12
            && rest.starts_with(['.', '-', '_'])
            && rest[1..].starts_with(|c: char| c.is_ascii_digit())
    };
    rest.bytes().all(|b| b.is_ascii_digit() || b == b'.') || is_version() || ENDS.contains(&rest)
}
