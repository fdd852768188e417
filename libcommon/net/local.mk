# Sources of the room net: TLS, HTTP, login.
