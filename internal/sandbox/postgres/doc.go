// Package postgres runs a real PostgreSQL server for the local world and for tests: it finds an installed one or fetches the
// server's binaries, makes the data folder, starts the server on a free loopback port with wal_level=logical, and sees to it
// that the server ends with the process that started it, even when that process is killed.
//
// It is no way to run a production database: everybody on the loopback interface may log in.
package postgres
