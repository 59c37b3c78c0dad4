"""`salt.defaults.exitcodes`: Salt's numbers, for plugins that set `__context__['retcode']`."""

EX_OK = 0
EX_GENERIC = 1
EX_PILLAR_FAILURE = 5
EX_STATE_COMPILER_ERROR = 1
EX_STATE_FAILURE = 2
EX_TIMEDOUT = 124
EX_USAGE = 64
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_CANTCREAT = 73
