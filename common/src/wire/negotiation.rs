//! What comes of two greetings: the systems that both ends can use, or the reason for a refusal.

use super::{Hello, NumerologyId, Refusal, RefusalCode, Role, SystemOffer};
use crate::message::SystemId;

/// What two ends have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Systems that both ends have with the same model; for a local client, all that the server has.
    pub systems: Vec<SystemId>,
    /// One line for each system that only one end has, or that the ends have with different models.
    pub differences: Vec<String>,
}

impl Agreement {
    /// `preferred` if both ends have it, else the first system that both have and a line that says why.
    pub fn choose(&self, preferred: SystemId) -> Option<(SystemId, Option<String>)> {
        if self.systems.contains(&preferred) {
            return Some((preferred, None));
        }
        let &fallback = self.systems.first()?;
        let prefix = format!("{preferred}:");
        let why = self.differences.iter().find(|line| line.starts_with(&prefix));
        let why = why.map_or_else(|| format!("{preferred}: on neither end"), Clone::clone);
        Some((fallback, Some(format!("{why}; falling back to {fallback}"))))
    }
}

fn short_list(offers: &[SystemOffer]) -> String {
    let names: Vec<String> = offers
        .iter()
        .map(|offer| match offer.system() {
            Some(system) => format!("{system} ({})", offer.model),
            None => format!("number {} ({})", offer.number, offer.model),
        })
        .collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// What `client` and `server` can do together, or why they cannot. Both ends get the same answer.
pub fn negotiate(client: &Hello, server: &Hello) -> Result<Agreement, Refusal> {
    if client.version != server.version {
        return Err(Refusal::new(
            RefusalCode::Version,
            format!(
                "protocol versions differ: the {} has {}, the {} has {}",
                client.role, client.version, server.role, server.version
            ),
        ));
    }
    if !client.role.may_connect_to(server.role) {
        return Err(Refusal::new(
            RefusalCode::Role,
            format!("a {} does not serve a {}", server.role, client.role),
        ));
    }
    if client.role != Role::Receiver {
        let systems = server.systems.iter().filter_map(SystemOffer::system).collect();
        return Ok(Agreement { systems, differences: Vec::new() });
    }
    if client.numerology != server.numerology {
        let show = |id: Option<NumerologyId>| id.map_or_else(|| "none".to_string(), |id| id.to_string());
        return Err(Refusal::new(
            RefusalCode::Numerology,
            format!(
                "radio layouts differ: the {} has {}; the {} has {}",
                client.role,
                show(client.numerology),
                server.role,
                show(server.numerology)
            ),
        ));
    }
    let mut agreement = Agreement { systems: Vec::new(), differences: Vec::new() };
    for system in SystemId::ALL {
        let model_of = |hello: &Hello| {
            hello.systems.iter().find(|offer| offer.system() == Some(system)).map(|offer| offer.model)
        };
        match (model_of(client), model_of(server)) {
            (Some(ours), Some(theirs)) if ours == theirs => agreement.systems.push(system),
            (Some(of_client), Some(of_server)) => agreement.differences.push(format!(
                "{system}: the {} has model {of_client}, the {} has model {of_server}",
                client.role, server.role
            )),
            (Some(_), None) => {
                agreement.differences.push(format!("{system}: only the {} has it", client.role));
            }
            (None, Some(_)) => {
                agreement.differences.push(format!("{system}: only the {} has it", server.role));
            }
            (None, None) => {}
        }
    }
    if agreement.systems.is_empty() {
        return Err(Refusal::new(
            RefusalCode::Systems,
            format!(
                "no system in common: the {} has {}; the {} has {}",
                client.role,
                short_list(&client.systems),
                server.role,
                short_list(&server.systems)
            ),
        ));
    }
    Ok(agreement)
}

#[cfg(test)]
mod tests {
    use super::super::PROTOCOL_VERSION;
    use super::*;
    use crate::message::ModelDigest;

    fn pair(client_model: u8, server_model: u8) -> (Hello, Hello) {
        let side = |role, model| {
            Hello::new(role, "x").with_numerology(NumerologyId::default()).with_systems([
                (SystemId::Classical, ModelDigest::default()),
                (SystemId::Ae, ModelDigest([model; 8])),
            ])
        };
        (side(Role::Receiver, client_model), side(Role::Transmitter, server_model))
    }

    #[test]
    fn same_models_agree_on_all() {
        let (client, server) = pair(1, 1);
        let agreement = negotiate(&client, &server).unwrap();
        assert_eq!(agreement.systems, [SystemId::Classical, SystemId::Ae]);
        assert_eq!(agreement.choose(SystemId::Ae), Some((SystemId::Ae, None)));
    }

    #[test]
    fn different_model_falls_back_and_says_which() {
        let (client, server) = pair(1, 2);
        let (system, why) = negotiate(&client, &server).unwrap().choose(SystemId::Ae).unwrap();
        assert_eq!(system, SystemId::Classical);
        let why = why.unwrap();
        assert!(why.contains("ae: ") && why.contains("0101010101010101"), "{why}");
        assert!(why.contains("falling back to classical"), "{why}");
    }

    #[test]
    fn nothing_in_common_is_refused_and_says_which() {
        let (mut client, mut server) = pair(1, 2);
        client.systems.remove(0);
        server.systems.push(SystemOffer { number: 200, model: ModelDigest([9; 8]) });
        let refusal = negotiate(&client, &server).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Systems);
        assert!(refusal.message.contains("number 200 (0909090909090909)"), "{refusal}");
    }

    #[test]
    fn layout_role_and_version_must_fit() {
        let (mut client, server) = pair(1, 1);
        client.numerology = Some(NumerologyId { fft_size: 512, ..NumerologyId::default() });
        assert_eq!(negotiate(&client, &server).unwrap_err().code, RefusalCode::Numerology);
        let watcher = Hello::new(Role::WatchClient, "w");
        assert_eq!(negotiate(&watcher, &server).unwrap_err().code, RefusalCode::Role);
        let sender = Hello::new(Role::SendClient, "s");
        assert_eq!(negotiate(&sender, &server).unwrap().systems, [SystemId::Classical, SystemId::Ae]);
        let newer = Hello { version: PROTOCOL_VERSION + 1, ..sender };
        assert_eq!(negotiate(&newer, &server).unwrap_err().code, RefusalCode::Version);
    }
}
