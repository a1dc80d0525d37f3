"""Make runs from configurations, and load agents from run folders."""
