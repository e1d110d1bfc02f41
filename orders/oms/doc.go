// Package oms speaks an OMS's HTTP API as a mapping file describes it: how an order is created, found by its reference and read,
// what the body looks like, and which answers mean that the OMS has the order. It never repeats a create by itself: whoever calls
// decides, after reading whether the answer is definite. // I4
package oms
