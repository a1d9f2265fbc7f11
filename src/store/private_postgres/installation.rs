//! What the machine offers for a private server: the installed PostgreSQL, and the account that may run it.
use anyhow::{Context, Result, bail};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// Folders below which each release of PostgreSQL has a folder of its own: Debian, Fedora, Homebrew on Intel and on ARM.
const RELEASES_UNDER: [&str; 4] = ["/usr/lib/postgresql", "/usr", "/usr/local/opt", "/opt/homebrew/opt"];

/// The account that runs the server: PostgreSQL refuses to run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// The one that runs this program.
    Ourselves,
    /// Another one, which only root can take on.
    Other {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
}

impl Account {
    /// The account for the server whose data lie in `cluster`. For root that is the data's owner, else `postgres`, else `nobody`.
    pub(super) fn for_cluster(cluster: &Path) -> Result<Account> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Account::Ourselves);
        }
        if let Some(owner) = fs::metadata(cluster).ok().filter(|data| data.uid() != 0) {
            return Ok(Account::Other { uid: owner.uid(), gid: owner.gid() });
        }
        let accounts = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| accounts.lines().find_map(|line| entry_of(name, line)))
            .context("PostgreSQL refuses to run as root, and this machine has no account `postgres` or `nobody` to run it: start Pairpost as an ordinary user")
    }

    /// A command of this account with an empty environment, so that no PG… variable of the caller's has a say.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").stdin(Stdio::null());
        match self {
            Account::Ourselves => {}
            Account::Other { uid, gid } => {
                command.uid(uid).gid(gid); // std drops the supplementary groups as well
            }
        }
        command
    }

    /// Hands `path` over to the account.
    pub(super) fn own(self, path: &Path) -> Result<()> {
        match self {
            Account::Ourselves => Ok(()),
            Account::Other { uid, gid } => {
                lchown(path, Some(uid), Some(gid)).with_context(|| format!("giving {} to the account that runs PostgreSQL", path.display()))
            }
        }
    }

    /// Whether the account may reach `folder` and remove from it what is its own.
    pub(super) fn may_remove_from(self, folder: &Path) -> bool {
        match self {
            Account::Ourselves => true,
            Account::Other { .. } => {
                self.barrier(&folder.join("x")).is_none() && fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o002 != 0)
            }
        }
    }

    /// The first folder above `path` that the account may not pass, such as /root.
    pub(super) fn barrier(self, path: &Path) -> Option<&Path> {
        match self {
            Account::Ourselves => None,
            Account::Other { uid, gid } => path.ancestors().skip(1).find(|above| {
                !fs::metadata(above).is_ok_and(|folder| {
                    let passing = if folder.uid() == uid {
                        0o100
                    } else if folder.gid() == gid {
                        0o010
                    } else {
                        0o001
                    };
                    folder.permissions().mode() & passing != 0
                })
            }),
        }
    }
}

/// The account of a line of /etc/passwd, when it is that of `name`.
fn entry_of(name: &str, line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    if fields.next() != Some(name) {
        return None;
    }
    Some(Account::Other { uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

/// The folder of `initdb` and `postgres`: of the release that wrote `cluster`, or for a new one the newest that is found.
/// `PG_BIN_DIR` goes before PATH, PATH before the places where packages put them.
pub(super) fn find(cluster: &Path) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::var_os("PG_BIN_DIR").map(PathBuf::from).into_iter().chain(env::split_paths(&path)).chain(package_folders());
    let wanted = fs::read_to_string(cluster.join("PG_VERSION")).ok().map(|release| release.trim().to_owned());
    choose(places, wanted.as_deref(), cluster)
}

/// The `bin` folders that packages make, newest release first.
fn package_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        RELEASES_UNDER.iter().filter_map(|parent| fs::read_dir(parent).ok()).flatten().flatten().map(|release| release.path().join("bin")).collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(number_in(&folder.to_string_lossy())));
    folders
}

fn choose(places: impl Iterator<Item = PathBuf>, wanted: Option<&str>, cluster: &Path) -> Result<PathBuf> {
    let mut seen: Vec<u32> = Vec::new();
    for place in places.filter(|place| place.join("initdb").is_file() && place.join("postgres").is_file()) {
        let Some(release) = release_of(&place) else { continue };
        if wanted.is_none_or(|wanted| wanted == release.to_string()) {
            return Ok(place);
        }
        if !seen.contains(&release) {
            seen.push(release);
        }
    }
    match wanted {
        None => bail!("no PostgreSQL server is installed: install it (Debian: `apt-get install postgresql`), or set DATABASE_URL to a database of yours"),
        Some(wanted) if seen.is_empty() => {
            bail!(
                "the data in {} need PostgreSQL {wanted}, which is not installed: install it (Debian: `apt-get install postgresql-{wanted}`)",
                cluster.display()
            )
        }
        Some(wanted) => {
            let seen: Vec<String> = seen.iter().map(u32::to_string).collect();
            bail!(
                "the data in {} were written by PostgreSQL {wanted}, and only {} is installed: install {wanted} beside it (Debian: `apt-get install postgresql-{wanted}`; \
                 PG_BIN_DIR names its programs elsewhere), or bring the data over with pg_upgrade",
                cluster.display(),
                seen.join(", ")
            )
        }
    }
}

/// The major version of the server in `place`, when it runs at all.
fn release_of(place: &Path) -> Option<u32> {
    let said = Command::new(place.join("postgres")).arg("--version").output().ok()?;
    number_in(&String::from_utf8_lossy(&said.stdout))
}

/// The first whole number in a text.
fn number_in(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit()).find_map(|word| word.parse().ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn without_an_installation_one_line_names_the_package() {
        let refused = choose(["/nowhere".into()].into_iter(), None, Path::new("/data")).unwrap_err().to_string();
        assert!(refused.contains("apt-get install postgresql") && refused.contains("DATABASE_URL") && refused.lines().count() == 1, "{refused}");
        let refused = choose(["/nowhere".into()].into_iter(), Some("16"), Path::new("/data")).unwrap_err().to_string();
        assert!(refused.contains("/data need PostgreSQL 16") && refused.contains("postgresql-16") && refused.lines().count() == 1, "{refused}");
    }

    #[test]
    fn accounts_are_read_from_the_list_by_their_whole_name() {
        let line = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        assert_eq!(entry_of("postgres", line), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(entry_of("post", line), None);
        assert_eq!(entry_of("broken", "broken:x:one"), None);
    }

    #[test]
    fn releases_are_numbers_not_words() {
        assert_eq!(number_in("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert!(number_in("/usr/lib/postgresql/9.6/bin") < number_in("/usr/lib/postgresql/17/bin"));
        assert_eq!(number_in("postgres (PostgreSQL) devel"), None);
    }
}
