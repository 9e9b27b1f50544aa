"""BinderHub's API: `GET /build`, for clients such as Thebe and binderhub-client."""
