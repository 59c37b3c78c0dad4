"""`salt.utils.validate`: is this text what it should be?"""
