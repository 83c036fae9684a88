"""The whole system on one machine, for `dtmf redis`, the demo and the tests: servers on free loopback ports."""
