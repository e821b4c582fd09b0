//! `semcast keygen`: a key for one end of the control link.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use semcast_common::control::Identity;

use crate::flags::print_text;

/// Make a key for one end of the control link: NAME.key (keep it) and NAME.cert (give it to peers)
#[derive(ClapArgs)]
pub struct Args {
    /// Path of both files, without their endings
    name: PathBuf,
    /// Overwrite files that exist
    #[arg(long)]
    force: bool,
}

/// Makes it and prints its fingerprint.
pub fn run(args: Args) -> anyhow::Result<()> {
    let identity = Identity::generate()?;
    let (key, certificate) = identity.save(&args.name, args.force)?;
    print_text(&format!(
        "key          {}\ncertificate  {}\nfingerprint  {}\n",
        key.display(),
        certificate.display(),
        identity.fingerprint()
    ));
    Ok(())
}
