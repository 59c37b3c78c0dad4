#!couples
one first value
two {{ not rendered }}
