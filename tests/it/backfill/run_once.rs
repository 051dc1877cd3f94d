pub(crate) mod localstripe;
