//! `[throttle]`, and the limits of peers.

use super::Resolver;
use crate::error::ConfigError;
use crate::schema::{PeriodSection, RatesSection, ThrottleSection};
use crate::settings::{Period, Rates, Throttle};
use crate::text::{Days, Rate, Text};

impl Resolver<'_> {
    pub(super) fn throttle(&self, said: ThrottleSection) -> Result<Throttle, ConfigError> {
        let periods = said.schedule.unwrap_or_default().into_iter().enumerate();
        let schedule = periods.map(|(index, period)| self.period(index, period));
        let (up, down) = (said.up, said.down);
        Ok(Throttle {
            rates: rates(RatesSection { up, down }),
            schedule: schedule.collect::<Result<_, _>>()?,
        })
    }

    fn period(&self, index: usize, said: PeriodSection) -> Result<Period, ConfigError> {
        let index = index.to_string();
        let section = ["throttle", "schedule", index.as_str()];
        let Some(Text(from)) = said.from else {
            return Err(self.origins.missing(&section, &["from"]));
        };
        let Some(Text(to)) = said.to else {
            return Err(self.origins.missing(&section, &["to"]));
        };
        if from == to {
            let message = "this is when the period begins; it ends earlier or later".to_owned();
            return Err(self
                .origins
                .fault(&[&section[..], &["to"]].concat(), message));
        }
        let days = match said.days {
            None => Days::ALL,
            Some(days) if days.is_empty() => {
                let message = "on no day it never holds; for every day, leave the key out";
                return Err(self
                    .origins
                    .fault(&[&section[..], &["days"]].concat(), message.to_owned()));
            }
            Some(days) => days.into_iter().map(|Text(day)| day).collect(),
        };
        let (up, down) = (said.up, said.down);
        let rates = rates(RatesSection { up, down });
        if rates == Rates::default() {
            return Err(self.origins.missing(&section, &["up", "down"]));
        }
        Ok(Period {
            from,
            to,
            days,
            rates,
        })
    }
}

pub(super) fn rates(said: RatesSection) -> Rates {
    let rate = |Text(Rate(rate))| rate;
    Rates {
        up: said.up.map(rate),
        down: said.down.map(rate),
    }
}
