//! The words that are commands by themselves, in the languages of letters we see most.
use super::{Audience, Command};

/// The commands without an argument, and those whose argument is one of a few words; folded.
pub(super) fn word(key: &str, who: Audience) -> Option<Command> {
    Some(match key {
        "help" | "info" | "commands" | "ayuda" | "aide" | "hilfe" | "ajuda" | "aiuto" | "hulp" | "instructions" => Command::Help,
        "join" | "sign up" | "signup" | "apply" | "register" | "take part" | "participate" | "join the programme" | "join the exchange" | "inscribirme"
        | "participer" => Command::Join,
        "subscribe" | "subscribe to the topics" | "subscribe to the list" | "suscribir" | "suscribirme" | "abonnieren" | "s abonner" => {
            Command::Subscribe { list: None }
        }
        "unsubscribe"
        | "unsubscribe from the topics"
        | "unsubscribe from the list"
        | "unsubscribe from this list"
        | "signoff"
        | "remove me from the list"
        | "take me off the list"
        | "take me off this list"
        | "remove me from this list"
        | "desuscribir"
        | "abbestellen"
        | "desabonner"
        | "se desabonner" => Command::Unsubscribe { list: None },
        "subscribe topics" | "topics subscribe" => Command::Subscribe { list: Some("topics".into()) },
        "subscribe discussion" | "discussion subscribe" => Command::Subscribe { list: Some("discussion".into()) },
        "unsubscribe topics" | "topics unsubscribe" => Command::Unsubscribe { list: Some("topics".into()) },
        "unsubscribe discussion" | "discussion unsubscribe" => Command::Unsubscribe { list: Some("discussion".into()) },
        // Somebody who is in no programme can only mean a list.
        "stop" if who == Audience::Anybody => Command::Unsubscribe { list: None },
        "status" | "my status" | "estado" | "statut" | "stand" | "how do i stand" | "state" => Command::Status,
        "confirm" | "i confirm" | "confirmed" | "confirmar" | "confirmer" | "bestatigen" | "confirmo" | "je confirme" | "ich bestatige" => Command::Confirm,
        "change" | "change my answers" | "change my details" | "change details" | "update" | "update my details" | "edit" | "correct" => Command::Change,
        "resume" | "unpause" | "continue" | "i am back" | "im back" | "end pause" | "end my pause" | "reanudar" | "reprendre" | "fortsetzen" | "retomar"
        | "riprendere" => Command::Resume,
        "leave"
        | "quit"
        | "exit"
        | "withdraw"
        | "stop"
        | "cancel"
        | "opt out"
        | "leave the programme"
        | "leave programme"
        | "leave the program"
        | "leave the exchange"
        | "leave this programme"
        | "stop the programme"
        | "quit the programme"
        | "withdraw from the programme"
        | "withdraw my application"
        | "cancel my application"
        | "cancel my participation"
        | "end my participation"
        | "remove me"
        | "sign me out"
        | "drop out"
        | "salir"
        | "darme de baja"
        | "baja"
        | "abandonar"
        | "quitter"
        | "partir"
        | "abmelden"
        | "austreten"
        | "aussteigen"
        | "sair"
        | "lasciare"
        | "stop writing to me"
        | "stop writing me"
        | "stop emailing me" => Command::Leave,
        "new partner"
        | "another partner"
        | "a new partner"
        | "different partner"
        | "a different partner"
        | "nueva pareja"
        | "nuevo partner"
        | "neuer partner"
        | "nouveau partenaire"
        | "novo parceiro" => Command::NewPartner,
        "all well"
        | "all is well"
        | "alls well"
        | "all good"
        | "everything is fine"
        | "everything is well"
        | "we write elsewhere"
        | "we are in touch"
        | "we are writing elsewhere"
        | "todo bien"
        | "tout va bien"
        | "alles gut"
        | "tudo bem" => Command::AllWell,
        "my data"
        | "all my data"
        | "send my data"
        | "send me my data"
        | "send me all my data"
        | "export my data"
        | "mis datos"
        | "mes donnees"
        | "meine daten"
        | "meus dados" => Command::MyData,
        "forget me"
        | "delete my data"
        | "delete me"
        | "erase me"
        | "erase my data"
        | "delete all my data"
        | "delete my account"
        | "borrar mis datos"
        | "supprimer mes donnees"
        | "meine daten loschen" => Command::ForgetMe,
        "topics on" | "topics yes" | "yes topics" | "start topics" | "send topics" | "monthly topics on" => Command::Topics { on: true },
        "topics off"
        | "topics no"
        | "no topics"
        | "stop topics"
        | "no more topics"
        | "stop the topics"
        | "stop the monthly topics"
        | "monthly topics off"
        | "no monthly topics" => Command::Topics { on: false },
        "share address" | "share my address" | "share addresses" | "share our addresses" | "show my address" => Command::ShareAddress,
        "block" | "block my partner" | "block this person" => Command::Block,
        "report" | "report my partner" | "report this" | "report this letter" | "report abuse" => Command::Report,
        _ => return None,
    })
}
