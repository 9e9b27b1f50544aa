"""BinderHub's dialect: its URLs, its event stream, and the images that stand for its builds."""
