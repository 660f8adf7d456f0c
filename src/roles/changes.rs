//! What is different between two configurations, told without values: routes by their names, everything else by its key.

use std::collections::BTreeMap;

use crate::config::Setting;

/// The prefix of every setting of a route.
const ROUTES: &str = "inbound.routes[";

/// The settings of a configuration, for comparison. The order of the routes counts, as it does for requests.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Each route's settings by its name.
    routes: Vec<(String, Vec<(String, String)>)>,
    others: BTreeMap<String, String>,
}

impl Settings {
    pub(super) fn new(settings: &[Setting]) -> Self {
        let mut sorted = Self::default();
        let mut routes: BTreeMap<usize, Vec<(String, String)>> = BTreeMap::new();
        for Setting { key, value, .. } in settings {
            let route = key.strip_prefix(ROUTES).and_then(|rest| {
                let (index, rest) = rest.split_once(']')?;
                Some((index.parse::<usize>().ok()?, rest))
            });
            match route {
                Some((index, rest)) => {
                    let settings = routes.entry(index).or_default();
                    settings.push((rest.to_owned(), value.clone()));
                }
                None => {
                    sorted.others.insert(key.clone(), value.clone());
                }
            }
        }
        let named = |mut settings: Vec<(String, String)>| {
            settings.sort();
            let name = settings.iter().find(|(key, _)| key == ".name");
            let name = name.map_or_else(String::new, |(_, name)| name.clone());
            (name, settings)
        };
        sorted.routes = routes.into_values().map(named).collect();
        sorted
    }

    /// What is different from the ones before.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, settings) in &self.routes {
            match before.route(name) {
                None => changes.push(format!("route {name} added")),
                Some(old) if old != settings => changes.push(format!("route {name} changed")),
                Some(_) => {}
            }
        }
        let gone = before
            .routes
            .iter()
            .filter(|(name, _)| self.route(name).is_none());
        changes.extend(gone.map(|(name, _)| format!("route {name} removed")));
        if self.common_order(before) != before.common_order(self) {
            changes.push("order of the routes".to_owned());
        }
        let keys = self.others.keys().chain(before.others.keys());
        let mut keys: Vec<&String> = keys
            .filter(|key| self.others.get(*key) != before.others.get(*key))
            .collect();
        keys.sort();
        keys.dedup();
        changes.extend(keys.into_iter().cloned());
        changes
    }

    fn route(&self, name: &str) -> Option<&Vec<(String, String)>> {
        let found = self.routes.iter().find(|(own, _)| own == name);
        found.map(|(_, settings)| settings)
    }

    /// The names that both have, in this one's order.
    fn common_order<'s>(&'s self, other: &Self) -> Vec<&'s str> {
        let names = self.routes.iter().map(|(name, _)| name.as_str());
        names.filter(|name| other.route(name).is_some()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let setting = |(key, value): &(&str, &str)| Setting {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            origin: "default".to_owned(),
        };
        Settings::new(&pairs.iter().map(setting).collect::<Vec<_>>())
    }

    #[test]
    fn routes_are_told_by_name_and_the_rest_by_key() {
        let before = settings(&[
            ("service", "a"),
            ("inbound.headers", "api"),
            ("inbound.routes[0].name", "one"),
            ("inbound.routes[0].match.path", "/1"),
            ("inbound.routes[1].name", "two"),
            ("inbound.routes[2].name", "three"),
        ]);
        let after = settings(&[
            ("service", "a"),
            ("inbound.headers", "web"),
            ("inbound.roles.trader[0]", "orders:place"),
            ("inbound.routes[0].name", "three"),
            ("inbound.routes[1].name", "four"),
            ("inbound.routes[2].name", "one"),
            ("inbound.routes[2].match.path", "/secret"),
        ]);
        assert_eq!(
            after.changes_since(&before),
            [
                "route four added",
                "route one changed",
                "route two removed",
                "order of the routes",
                "inbound.headers",
                "inbound.roles.trader[0]",
            ]
        );
        assert!(before.changes_since(&before).is_empty());
    }
}
