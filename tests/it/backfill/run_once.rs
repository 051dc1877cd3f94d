mod localstripe;
