// Package oms is the reference OMS of the local world: a PostgreSQL schema with seeded data, the HTTP API through which other
// systems create sales orders, and the desk, which does what the people at an OMS do all day. It is a program apart from the
// bridge: it imports nothing of the bridge, and the bridge knows it through a mapping folder and a URL alone.
package oms
